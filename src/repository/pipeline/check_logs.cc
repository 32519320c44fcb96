#include "repository/pipeline/check_logs.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::repository {

// Damage becomes a problem and nothing; another error is one of the check.
template <class T>
Result<std::optional<T>> LogCheck::tolerate(Result<T> found) {
    if (found) return std::optional<T>(std::move(*found));
    if (found.error().code != ErrorCode::kCorrupt) return found.error();
    problem_(found.error().to_string(), "");
    return std::optional<T>();
}

Status LogCheck::check_backup(const Backup& backup) {
    if (!backup.log) return {};
    if (reads_all_) {
        users_.push_back(backup);
        return {};
    }
    if (backup.log->from == backup.log->to) return {};
    const auto begins = read_log(
        repository_, backup.log->name, backup.log->from, [](auto, auto) { return Result<bool>(false); }, context_);
    if (begins) return {};
    const ErrorCode code = begins.error().code;
    if (code != ErrorCode::kNotFound && code != ErrorCode::kCorrupt) return begins.error();
    problem_(fmt::format("backup '{}': {}", backup.id, begins.error().to_string()), backup.id);
    return {};
}

Status LogCheck::finish() {
    AETERNA_ASSIGN(const auto names, list_logs(repository_, context_));
    count_ = names.size();
    if (!reads_all_) return {};
    for (const std::string& name : names) AETERNA_TRY(check_log(name));
    for (const Backup& backup : users_) check_range(backup);
    return {};
}

Status LogCheck::check_log(const std::string& name) {
    // The mark first: a log only grows.
    AETERNA_ASSIGN(const auto mark, tolerate(read_mark(repository_, name, context_)));
    AETERNA_ASSIGN(const auto origin, tolerate(read_origin(repository_, name, context_)));
    AETERNA_ASSIGN(auto ranges, tolerate(log_ranges(repository_, name, LogReading::kEverything, context_)));
    if (!mark || !ranges) return {};
    const std::uint64_t end = ranges->empty() ? 0 : ranges->back().to;
    if (*mark && end < **mark) {
        problem_(fmt::format("the log '{}' ends at {:016x} and had {:016x} once", name, end, **mark), "");
    }
    ranges_[name] = std::move(*ranges);
    return {};
}

void LogCheck::check_range(const Backup& backup) {
    const Backup::Log& log = *backup.log;
    const auto ranges = ranges_.find(log.name);
    const bool is_whole = ranges != ranges_.end() &&
                          std::any_of(ranges->second.begin(), ranges->second.end(), [&](const LogRange& range) {
                              return range.from <= log.from && range.to >= log.to;
                          });
    if (is_whole || log.from == log.to) return;
    problem_(fmt::format("backup '{}' needs {:016x} to {:016x} of the log '{}'", backup.id, log.from, log.to, log.name),
             backup.id);
}

}  // namespace aeterna::repository
