#include "postgres/capture/wal_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "postgres/capture/wal_logs.h"

namespace aeterna::postgres {

const WalPath::Part* WalPath::part_ending_at(Lsn end) const {
    const auto found =
        std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.from < end && end <= part.to; });
    return found == parts.end() ? nullptr : &*found;
}

bool WalPath::has(Timeline timeline, Lsn end) const {
    const Part* part = part_ending_at(end);
    return part && part->timeline == timeline;
}

Result<WalPath> make_wal_path(const std::string& system_identifier, Timeline timeline, std::string_view history) {
    AETERNA_ASSIGN(const auto switches, parse_timeline_history(history, timeline));
    WalPath path{system_identifier, {}, std::string(history)};
    Lsn from = 0;
    for (const TimelineSwitch& one : switches) {
        // A timeline that was left before it wrote anything has no part in it.
        if (one.at > from) path.parts.push_back({one.timeline, from, one.at});
        from = std::max(from, one.at);
    }
    path.parts.push_back({timeline, from, std::numeric_limits<Lsn>::max()});
    return path;
}

Result<WalPath> find_wal_path(repository::Repository& repository, const std::string& system_identifier,
                              std::optional<Timeline> wanted, const env::Context& context) {
    AETERNA_ASSIGN(const auto logs, list_wal_logs(repository, context));
    std::optional<Timeline> newest;
    for (const WalLog& log : logs) {
        if (log.system_identifier != system_identifier || (wanted && log.timeline != *wanted)) continue;
        newest = std::max(newest.value_or(0), log.timeline);
    }
    if (!newest) {
        return make_error(ErrorCode::kNotFound,
                          wanted ? fmt::format("the repository has no WAL of timeline {} of the cluster '{}'", *wanted,
                                               system_identifier)
                                 : fmt::format("the repository has no WAL of the cluster '{}'", system_identifier),
                          "`backup watch` captures it; --to BACKUP restores a backup as it is.");
    }
    AETERNA_ASSIGN(const auto origin,
                   repository::read_origin(repository, wal_log_name({system_identifier, *newest}), context));
    return make_wal_path(system_identifier, *newest, origin ? origin->history : "");
}

Result<Lsn> read_wal(repository::Repository& repository, const WalPath& path, Lsn from,
                     const std::function<Result<bool>(std::string_view)>& each, const env::Context& context) {
    Lsn position = from;
    bool is_over = false;
    for (const WalPath::Part& part : path.parts) {
        if (part.to <= position) continue;
        const auto read = repository::read_log(
            repository, wal_log_name({path.system_identifier, part.timeline}), position,
            [&](std::uint64_t, repository::Bytes bytes) -> Result<bool> {
                const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), part.to - position));
                AETERNA_ASSIGN(const bool goes_on, each(std::string_view(bytes.data(), taken)));
                position += taken;
                is_over = !goes_on;
                return goes_on && position < part.to;
            },
            context);
        if (!read && read.error().code != ErrorCode::kNotFound) return read.error();
        if (is_over || position < part.to) break;
    }
    return position;
}

}  // namespace aeterna::postgres
