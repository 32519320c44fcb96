#include "postgres/engines/wal_g_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace aeterna::postgres {
namespace {

constexpr std::string_view kNoBackups = "No backups found";
constexpr std::string_view kDeltaMark =
    "_D_";  // base_SEGMENT_D_SEGMENT: behind it the segment of the backup that it needs
constexpr std::string_view kNamePrefix = "base_";

Error not_understood_wal_g(std::string_view what) {
    return make_error(ErrorCode::kProtocol, fmt::format("wal-g's answer is not understood: {}", what),
                      "Compare its version with the ones that docs/engines.md names.");
}

// A number, or "0/3000028".
std::optional<Lsn> lsn_in(const Json& object, std::string_view key) {
    const Json* found = find_member(object, key);
    if (!found) return std::nullopt;
    if (found->is_number_unsigned()) return found->get<std::uint64_t>();
    return found->is_string() ? parse_lsn(found->get_ref<const std::string&>()) : std::nullopt;
}

std::uint64_t size_in(const Json& object, std::string_view key) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, find_integer(object, key).value_or(0)));
}

Result<EngineBackup> read_wal_g_backup(const Json& json) {
    EngineBackup backup;
    backup.id = find_string(json, "backup_name").value_or("");
    const auto segment = backup.id.starts_with(kNamePrefix)
                             ? parse_wal_segment_name(backup.id.substr(kNamePrefix.size(), 24))
                             : std::nullopt;
    const auto from = lsn_in(json, "start_lsn"), to = lsn_in(json, "finish_lsn");
    const auto started = parse_time(find_string(json, "start_time").value_or("")),
               finished = parse_time(find_string(json, "finish_time").value_or(""));
    if (!segment || !from || !to || *to < *from || !started || !finished)
        return not_understood_wal_g(fmt::format("backup '{}'", one_line(backup.id)));
    const auto segment_bytes = segment_bytes_by(*segment, *from);
    if (!segment_bytes) return not_understood_wal_g(fmt::format("the WAL of backup '{}'", one_line(backup.id)));
    const std::size_t delta = backup.id.find(kDeltaMark);
    backup.type = delta == std::string::npos ? "full" : "incr";
    if (delta != std::string::npos) backup.parent = backup.id.substr(delta + kDeltaMark.size());
    backup.started_at = *started;
    backup.finished_at = *finished;
    backup.timeline = segment->timeline;
    backup.from = *from;
    backup.to = *to;
    backup.segment_bytes = *segment_bytes;
    backup.bytes = size_in(json, "uncompressed_size");
    backup.stored_bytes = size_in(json, "compressed_size");
    if (const Json* system = find_member(json, "system_identifier"); system && system->is_number_unsigned()) {
        backup.system_identifier = std::to_string(system->get<std::uint64_t>());
    }
    // 150018
    backup.server_version = std::to_string(find_integer(json, "pg_version").value_or(0) / 10000);
    return backup;
}

struct TimelineStart {
    Timeline parent = 0;
    Lsn at = 0;
};

// As the timeline's history file would say it; nothing where an ancestor is not known.
std::optional<std::string> history_by(const std::map<Timeline, TimelineStart>& starts, Timeline timeline) {
    std::vector<std::string> lines;
    std::set<Timeline> seen;
    Timeline oldest = 1;
    for (auto start = starts.find(timeline); start != starts.end() && start->second.parent != 0;
         start = starts.find(start->second.parent)) {
        if (!seen.insert(start->first).second) return std::nullopt;
        oldest = start->second.parent;
        lines.push_back(fmt::format("{}\t{}\tby wal-g\n", oldest, format_lsn(start->second.at)));
    }
    // wal-show lists only timelines with a whole segment: what went before one that has none is not known.
    if (oldest != 1 && !starts.contains(oldest)) return std::nullopt;
    std::reverse(lines.begin(), lines.end());
    return lines.empty() ? std::nullopt : std::optional(join(lines, ""));
}

Status add_range(const Json& json, Timeline timeline, ArchivedWal& wal) {
    const auto first = parse_wal_segment_name(find_string(json, "start_segment").value_or(""));
    const auto last = parse_wal_segment_name(find_string(json, "end_segment").value_or(""));
    const Json* missing = find_member(json, "missing_segments");
    const auto count = find_integer(json, "segments_count");
    if (!first || !last || first->timeline != timeline || last->timeline != timeline || !count || !missing) {
        return not_understood_wal_g("a timeline of wal-show");
    }
    std::set<std::uint64_t> holes;
    for (const Json& one : missing->is_array() ? *missing : Json::array()) {
        const auto name = one.is_string() ? parse_wal_segment_name(one.get_ref<const std::string&>()) : std::nullopt;
        if (!name) return not_understood_wal_g("a missing segment");
        holes.insert(name->begin_lsn(wal.segment_bytes));
    }
    std::int64_t added = 0;
    for (Lsn at = first->begin_lsn(wal.segment_bytes); at <= last->begin_lsn(wal.segment_bytes);
         at += wal.segment_bytes) {
        if (holes.contains(at)) continue;
        wal.segments[timeline].emplace(at / wal.segment_bytes, std::nullopt);
        ++added;
    }
    if (added != *count) return not_understood_wal_g(fmt::format("{} segments are said, {} are named", *count, added));
    return {};
}

}  // namespace

Result<std::vector<EngineBackup>> parse_wal_g_backups(std::string_view output, std::string_view errors) {
    std::vector<EngineBackup> backups;
    if (trim(output).empty() && errors.find(kNoBackups) != std::string_view::npos) return backups;
    AETERNA_ASSIGN(const Json document, parse_json(output, "wal-g backup-list"));
    if (!document.is_array()) return not_understood_wal_g("backup-list gave no list");
    for (const Json& one : document) {
        AETERNA_ASSIGN(EngineBackup backup, read_wal_g_backup(one));
        backups.push_back(std::move(backup));
    }
    for (EngineBackup& backup : backups) {
        if (backup.parent.empty()) continue;
        const auto whole = std::find_if(backups.begin(), backups.end(), [&](const EngineBackup& other) {
            return other.id.starts_with(std::string(kNamePrefix) + backup.parent);
        });
        if (whole == backups.end())
            return not_understood_wal_g(fmt::format("'{}' needs a backup that is not there", backup.id));
        backup.parent = whole->id;
    }
    sort_oldest_first(backups);
    return backups;
}

Result<std::vector<std::string>> parse_wal_g_tablespaces(std::string_view sentinel) {
    AETERNA_ASSIGN(const Json document, parse_json(sentinel, "wal-g's sentinel"));
    if (!lsn_in(document, "LSN")) return not_understood_wal_g("a sentinel");
    std::vector<std::string> places;
    const Json* spec = find_member(document, "Spec");
    if (!spec) spec = find_member(document, "spec");
    if (!spec || spec->is_null()) return places;
    const Json* oids = find_member(*spec, "tablespaces");
    if (!oids || !(oids->is_array() || oids->is_null())) return not_understood_wal_g("the tablespaces of a sentinel");
    for (const Json& oid : *oids) {
        const Json* place = oid.is_string() ? find_member(*spec, oid.get_ref<const std::string&>()) : nullptr;
        places.push_back(place ? find_string(*place, "loc").value_or("?") : "?");
    }
    return places;
}

Status read_wal_g_archive(std::string_view output, ArchivedWal& wal) {
    AETERNA_ASSIGN(const Json document, parse_json(output, "wal-g wal-show"));
    if (!document.is_array()) return not_understood_wal_g("wal-show gave no list");
    std::map<Timeline, TimelineStart> starts;
    for (const Json& one : document) {
        const auto id = find_integer(one, "id"), parent = find_integer(one, "parent_id");
        const auto at = lsn_in(one, "switch_point_lsn");
        if (!id || *id < 1 || !parent || !at) return not_understood_wal_g("a timeline of wal-show");
        starts[static_cast<Timeline>(*id)] = {static_cast<Timeline>(*parent), *at};
        AETERNA_TRY(add_range(one, static_cast<Timeline>(*id), wal));
    }
    for (const auto& [timeline, start] : starts) {
        if (const auto history = history_by(starts, timeline)) wal.histories[timeline] = *history;
    }
    return {};
}

}  // namespace aeterna::postgres
