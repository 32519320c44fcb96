// Which node a backup is taken from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "postgres/client/sql.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

struct SourceCandidate {
    std::string node;
    std::optional<SqlView> view;  // nothing: it did not answer
    std::string failure;          // why not
};

// Pure. The replica that has replayed most, of those that stream; else the primary; else any replica. `wanted` names a
// node, which is taken as it is. kUsage for another name, kUnavailable when nobody answered.
[[nodiscard]] Result<std::string> choose_source(const std::vector<SourceCandidate>& candidates,
                                                const std::string& wanted);

struct Source {
    std::string node;
    bool is_replica = false;
};
// Asks every node for three seconds each, then chooses.
[[nodiscard]] Result<Source> ask_for_source(const Settings& settings, const env::Env& env, const std::string& wanted,
                                            const env::Context& context);

}  // namespace aeterna::postgres
