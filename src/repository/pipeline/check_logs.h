// The logs' part of a check: what each backup needs of its log is there; read whole, every piece opens and a log reaches
// the end that it once had.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "repository/log_segments.h"

namespace aeterna::repository {

class LogCheck {
  public:
    // `problem` is called with a line, and with the id of the backup that it hits or nothing.
    using Problem = std::function<void(std::string text, const std::string& backup)>;
    LogCheck(Repository& repository, bool reads_all, const env::Context& context, Problem problem)
        : repository_(repository), reads_all_(reads_all), context_(context), problem_(std::move(problem)) {}

    // Each backup of the catalog. Without reading all only where its part begins.
    Status check_backup(const Backup& backup);
    // After the last backup: reads the logs, when all is to be read.
    Status finish();
    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    Status check_log(const std::string& name);
    void check_range(const Backup& backup);
    template <class T>
    [[nodiscard]] Result<std::optional<T>> tolerate(Result<T> found);

    Repository& repository_;
    const bool reads_all_;
    env::Context context_;
    Problem problem_;
    std::uint64_t count_ = 0;
    std::vector<Backup> users_;
    std::map<std::string, std::vector<LogRange>> ranges_;
};

}  // namespace aeterna::repository
