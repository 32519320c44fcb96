// What logs have, for who asks again and again: an appended piece's name does not say where it ends, a large one keeps that
// name (log_merge_plan.h), and no piece ever changes. So each is read once.
#pragma once

#include <map>

#include "repository/log_segments.h"

namespace aeterna::repository {

// Of one repository; one thread at a time.
class LogEnds {
  public:
    // As log_ranges() with kNames.
    [[nodiscard]] Result<std::vector<LogRange>> ranges(Repository& repository, const std::string& name,
                                                       const env::Context& context);

    using Ends = std::map<std::uint64_t, std::uint64_t>;  // of appended pieces, by start

  private:
    std::map<std::string, Ends> logs_;
};

}  // namespace aeterna::repository
