#include "postgres/capture/wal_audit.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/capture/base_backup.h"
#include "postgres/capture/wal_logs.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

// The way's own stretches of what is captured, in the way's order. What lies behind a fork is a dead branch.
std::vector<WalHole> captured_on(const WalPath& path, const CapturedWal& captured) {
    std::vector<WalHole> stretches;
    for (const WalPath::Part& part : path.parts) {
        const auto found = captured.find(part.timeline);
        if (found == captured.end()) continue;
        for (const repository::LogRange& range : found->second) {
            const Lsn from = std::max(range.from, part.from), to = std::min(range.to, part.to);
            if (from < to) stretches.push_back({part.timeline, from, to});
        }
    }
    return stretches;
}

// [from, to) of the way, by timelines.
void add_missing_wal(const WalPath& path, Lsn from, Lsn to, std::vector<WalHole>& holes) {
    for (const WalPath::Part& part : path.parts) {
        const Lsn begin = std::max(from, part.from), end = std::min(to, part.to);
        if (begin < end) holes.push_back({part.timeline, begin, end});
    }
}

}  // namespace

std::string describe_hole(const WalHole& hole) {
    return fmt::format("the WAL of timeline {} from {} to {}", hole.timeline, format_lsn(hole.from),
                       format_lsn(hole.to));
}

std::vector<WalHole> find_holes(const WalPath& path, const CapturedWal& captured, std::optional<Lsn> needed_from) {
    std::vector<WalHole> holes;
    const auto stretches = captured_on(path, captured);
    if (stretches.empty()) return holes;
    Lsn position = needed_from.value_or(stretches.front().from);
    for (const WalHole& stretch : stretches) {
        if (stretch.from > position) add_missing_wal(path, position, stretch.from, holes);
        position = std::max(position, stretch.to);
    }
    return holes;
}

std::optional<Lsn> next_captured(const WalPath& path, const CapturedWal& captured, Lsn end) {
    for (const WalHole& stretch : captured_on(path, captured)) {
        if (stretch.from > end) return stretch.from;
    }
    return std::nullopt;
}

Result<CapturedWal> captured_wal(repository::Repository& repository, const WalPath& path, const env::Context& context) {
    repository::LogEnds ends;
    return captured_wal(repository, path, ends, context);
}

Result<CapturedWal> captured_wal(repository::Repository& repository, const WalPath& path, repository::LogEnds& ends,
                                 const env::Context& context) {
    CapturedWal captured;
    for (const WalPath::Part& part : path.parts) {
        const std::string log = wal_log_name({path.system_identifier, part.timeline});
        AETERNA_ASSIGN(captured[part.timeline], ends.ranges(repository, log, context));
    }
    return captured;
}

Result<WalAudit> audit_wal(repository::Repository& repository, const std::string& system_identifier,
                           std::uint64_t segment_bytes, repository::LogEnds& ends, const env::Context& context) {
    WalAudit audit;
    AETERNA_ASSIGN(audit.path, find_wal_path(repository, system_identifier, std::nullopt, context));
    std::optional<Lsn> oldest;
    AETERNA_ASSIGN(const auto backups, repository.catalog().all(context));
    for (const repository::Backup& backup : backups) {
        if (!is_base_backup(backup)) continue;
        const auto details = read_details(backup.details);
        if (!details || details->system_identifier != system_identifier) continue;
        if (!audit.path.has(details->timeline, details->to)) continue;
        // What the segment has before the backup's end, the backup brings (starting_point.h).
        const Lsn from = details->to - details->to % segment_bytes;
        oldest = std::min(oldest.value_or(from), from);
        audit.newest_backup = std::max(audit.newest_backup.value_or(from), from);
    }
    AETERNA_ASSIGN(const auto captured, captured_wal(repository, audit.path, ends, context));
    audit.holes = find_holes(audit.path, captured, oldest);
    return audit;
}

}  // namespace aeterna::postgres
