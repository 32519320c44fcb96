#include "postgres/engines/pgbackrest_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "postgres/engines/engine_program.h"

namespace aeterna::postgres {
namespace {

constexpr std::int64_t kOk = 0, kNoBackup = 2, kDifferent = 4, kOtherCluster = 5;
constexpr int kLockError = 50;
constexpr std::size_t kSegmentNameBytes = 24;

Error not_understood(std::string_view what) {
    return make_error(ErrorCode::kProtocol, fmt::format("pgbackrest's answer is not understood: {}", what),
                      "Compare its version with the ones that docs/engines.md names.");
}

WallTime from_epoch(std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

// What had happened by then: it cuts its times to whole seconds.
WallTime behind_epoch(std::int64_t seconds) { return from_epoch(seconds + 1); }

// A member that has to be there, of an object within.
const Json* part(const Json& object, std::string_view key) {
    const Json* found = find_member(object, key);
    return found && found->is_object() ? found : nullptr;
}

const Json::array_t* list_in(const Json& object, std::string_view key) {
    const Json* found = find_member(object, key);
    return found && found->is_array() ? found->get_ptr<const Json::array_t*>() : nullptr;
}

// The cluster of a backup or an archive: number of the database within its repository.
struct DatabaseKey {
    std::int64_t id = 0, place = 0;
};
std::optional<DatabaseKey> database_key(const Json& object) {
    const Json* database = part(object, "database");
    if (!database) return std::nullopt;
    const auto id = find_integer(*database, "id"), place = find_integer(*database, "repo-key");
    return id && place ? std::optional(DatabaseKey{*id, *place}) : std::nullopt;
}

struct Database {
    std::int64_t id = 0;
    std::string system_identifier, version;
};

// Of each repository the newest one.
Result<std::map<std::int64_t, Database>> newest_databases(const Json& stanza) {
    std::map<std::int64_t, Database> newest;
    const auto* list = list_in(stanza, "db");
    if (!list) return not_understood("no 'db'");
    for (const Json& one : *list) {
        const auto id = find_integer(one, "id"), place = find_integer(one, "repo-key");
        const Json* system = find_member(one, "system-id");
        const auto version = find_string(one, "version");
        if (!id || !place || !version || !system || !system->is_number_unsigned()) return not_understood("a 'db'");
        if (newest[*place].id < *id) newest[*place] = {*id, std::to_string(system->get<std::uint64_t>()), *version};
    }
    return newest;
}

Status read_times(const Json& json, EngineBackup& backup) {
    const Json* times = part(json, "timestamp");
    const auto start = times ? find_integer(*times, "start") : std::nullopt,
               stop = times ? find_integer(*times, "stop") : std::nullopt;
    if (!start || !stop) return not_understood("a backup without 'timestamp'");
    backup.started_at = from_epoch(*start);
    backup.finished_at = behind_epoch(*stop);
    return {};
}

Status read_wal_range(const Json& json, EngineBackup& backup) {
    const Json *archive = part(json, "archive"), *lsn = part(json, "lsn");
    if (!archive || !lsn) return not_understood("a backup without 'archive' or 'lsn'");
    const auto first = parse_wal_segment_name(find_string(*archive, "start").value_or(""));
    const auto from = parse_lsn(find_string(*lsn, "start").value_or("")),
               to = parse_lsn(find_string(*lsn, "stop").value_or(""));
    const auto segment_bytes = first && from ? segment_bytes_by(*first, *from) : std::nullopt;
    if (!to || !segment_bytes || *to < *from) return not_understood("a backup's WAL");
    backup.timeline = first->timeline;
    backup.from = *from;
    backup.to = *to;
    backup.segment_bytes = *segment_bytes;
    return {};
}

Result<EngineBackup> read_backup(const Json& json) {
    EngineBackup backup;
    const auto label = find_string(json, "label"), type = find_string(json, "type");
    const Json* info = part(json, "info");
    const std::int64_t size = info ? find_integer(*info, "size").value_or(-1) : -1;
    if (!label || label->empty() || !type || size < 0) return not_understood("a backup");
    backup.id = *label;
    backup.type = *type;
    backup.parent = find_string(json, "prior").value_or("");
    backup.bytes = static_cast<std::uint64_t>(size);
    const Json* stored = part(*info, "repository");
    backup.stored_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, stored ? find_integer(*stored, "delta").value_or(0) : 0));
    backup.has_damaged_pages = find_boolean(json, "error");
    AETERNA_TRY(read_times(json, backup));
    AETERNA_TRY(read_wal_range(json, backup));
    return backup;
}

// Taken of a stopped server (--no-online): no WAL comes with it, so nothing leads on from it. Only pgBackRest itself restores it.
bool is_cold(const Json& json) {
    const Json* archive = part(json, "archive");
    return archive && archive->contains("start") && archive->at("start").is_null() && !json.contains("lsn");
}

Status read_places(const Json& stanza, PgBackRestInfo& info) {
    const auto* places = list_in(stanza, "repo");
    if (!places || places->empty()) return not_understood("no 'repo'");
    for (const Json& place : *places) {
        const auto key = find_integer(place, "key");
        const Json* status = part(place, "status");
        const auto code = status ? find_integer(*status, "code") : std::nullopt;
        if (!key || !code) return not_understood("a 'repo'");
        info.places.push_back(*key);
        if (*code == kOk || *code == kNoBackup) continue;
        info.troubles.push_back(
            fmt::format("repository {}: {}", *key, one_line(find_string(*status, "message").value_or("?"))));
    }
    return {};
}

Status read_backups(const Json& stanza, const std::map<std::int64_t, Database>& databases, PgBackRestInfo& info) {
    const auto *archives = list_in(stanza, "archive"), *backups = list_in(stanza, "backup");
    if (!archives || !backups) return not_understood("no 'archive' or 'backup'");
    const auto is_current = [&](const DatabaseKey& key) {
        const auto found = databases.find(key.place);
        return found != databases.end() && found->second.id == key.id;
    };
    for (const Json& one : *archives) {
        const auto key = database_key(one);
        const auto id = find_string(one, "id");
        if (!key || !id) return not_understood("an 'archive'");
        if (is_current(*key)) info.archives.push_back({key->place, *id});
    }
    for (const Json& one : *backups) {
        const auto key = database_key(one);
        if (!key) return not_understood("a backup without 'database'");
        if (is_cold(one)) continue;
        AETERNA_ASSIGN(EngineBackup backup, read_backup(one));
        backup.place = key->place;
        if (!is_current(*key)) {
            info.older.push_back(std::move(backup));
            continue;
        }
        backup.system_identifier = databases.at(key->place).system_identifier;
        backup.server_version = databases.at(key->place).version;
        info.backups.push_back(std::move(backup));
    }
    sort_oldest_first(info.backups);
    return {};
}

}  // namespace

Result<PgBackRestInfo> parse_pgbackrest_info(std::string_view text, const std::string& stanza) {
    AETERNA_ASSIGN(const Json document, parse_json(text, "pgbackrest info"));
    if (!document.is_array() || document.size() != 1 || find_string(document[0], "name") != stanza) {
        return not_understood("it is not about the stanza alone");
    }
    const Json& one = document[0];
    PgBackRestInfo info;
    const Json* status = part(one, "status");
    const auto code = status ? find_integer(*status, "code") : std::nullopt;
    if (!code) return not_understood("no 'status'");
    info.code = *code;
    info.message = find_string(*status, "message").value_or("");
    AETERNA_TRY(read_places(one, info));
    AETERNA_ASSIGN(const auto databases, newest_databases(one));
    AETERNA_TRY(read_backups(one, databases, info));
    return info;
}

Status judge_pgbackrest_stanza(const PgBackRestInfo& info, const std::string& stanza) {
    // With several repositories one may be whole where another is not.
    const bool has_good = info.troubles.size() < info.places.size();
    const bool is_mixed = info.code == kDifferent || !info.troubles.empty();
    if (info.code == kOk || info.code == kNoBackup || (has_good && is_mixed && info.code != kOtherCluster)) return {};
    return make_error(
        ErrorCode::kConfiguration,
        fmt::format("pgbackrest has no usable stanza '{}': {}", stanza,
                    info.troubles.empty() ? one_line(info.message) : join(info.troubles, "; ")),
        "Check 'pgbackrest: {stanza, config_file}' in the stack file, and that 'pgbackrest stanza-create' was run.");
}

std::vector<Tablespace> pgbackrest_tablespaces(std::string_view info, const std::string& label) {
    std::vector<Tablespace> found;
    const auto document = parse_json(info, "pgbackrest info");
    if (!document || !document->is_array()) return found;
    for (const Json& stanza : *document) {
        const auto* backups = list_in(stanza, "backup");
        for (const Json& backup : backups ? *backups : Json::array_t()) {
            if (find_string(backup, "label") != label) continue;
            const auto* tablespaces = list_in(backup, "tablespace");
            for (const Json& one : tablespaces ? *tablespaces : Json::array_t()) {
                const auto oid = find_integer(one, "oid");
                if (oid) found.push_back({static_cast<std::uint32_t>(*oid), find_string(one, "destination").value_or("")});
            }
        }
    }
    return found;
}

Status read_pgbackrest_listing(std::string_view text, ArchivedWal& wal, std::vector<std::string>& histories) {
    AETERNA_ASSIGN(const Json document, parse_json(text, "pgbackrest repo-ls"));
    if (!document.is_object()) return not_understood("a listing");
    for (const auto& [path, entry] : document.items()) {
        if (find_string(entry, "type") != "file") continue;
        const std::string name = path.substr(path.rfind('/') + 1);
        if (parse_history_file_name(name)) histories.push_back(path);
        // "SEGMENT-sha1[.zst]"; "SEGMENT.partial-…" and "SEGMENT.OFFSET.backup" are no segments.
        if (name.size() <= kSegmentNameBytes || name[kSegmentNameBytes] != '-') continue;
        const auto segment = parse_wal_segment_name(name.substr(0, kSegmentNameBytes));
        const auto size = find_integer(entry, "size"), time = find_integer(entry, "time");
        if (!segment || !size || !time) return not_understood(fmt::format("'{}' in the archive", one_line(path)));
        if (*size > 0) wal.add(*segment, behind_epoch(*time));
    }
    return {};
}

std::optional<double> pgbackrest_percent(std::string_view line) {
    const std::size_t end = line.rfind("%)");
    if (end == std::string_view::npos || line.find("backup file ") == std::string_view::npos) return std::nullopt;
    const std::size_t comma = line.rfind(", ", end);
    return comma == std::string_view::npos ? std::nullopt : to_number(line.substr(comma + 2, end - comma - 2));
}

std::vector<std::string> pgbackrest_warnings(std::string_view text) {
    std::vector<std::string> warnings;
    for (const std::string_view line : split(text, '\n')) {
        if (const auto warning = behind_mark(line, "WARN: "); !warning.empty()) warnings.push_back(one_line(warning));
    }
    return warnings;
}

std::string pgbackrest_version(std::string_view text) {
    constexpr std::string_view kMark = "pgBackRest ";
    return text.starts_with(kMark) ? std::string(trim(text.substr(kMark.size()))) : "";
}

Status judge_pgbackrest(const env::RunResult& result) {
    Status done = judge_engine_run("pgbackrest", result, "pgbackrest's own log says more (its log-path).");
    if (result.exit_status == kLockError) {
        done.error().code = ErrorCode::kLocked;
        done.error().hint = "Another pgbackrest is at work; try again when it has ended.";
    }
    return done;
}

}  // namespace aeterna::postgres
