#include "postgres/restore/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/paths.h"
#include "base/strings.h"
#include "postgres/restore/recovery_conf.h"

namespace aeterna::postgres {
namespace {

// Of a standby, of a recovery that is over, and of the archive.
constexpr std::string_view kDropped[] = {
    "primary_conninfo",          "primary_slot_name",    "promote_trigger_file",     "restore_command",
    "archive_cleanup_command",   "recovery_end_command", "recovery_target",          "recovery_target_action",
    "recovery_target_inclusive", "recovery_target_lsn",  "recovery_target_name",     "recovery_target_time",
    "recovery_target_timeline",  "recovery_target_xid",  "recovery_min_apply_delay", "archive_mode",
    "archive_command",           "archive_library",      "synchronous_standby_names", "max_logical_replication_workers"};

// The setting's name in a line of a configuration file, in lower case.
std::string name_in(std::string_view line) {
    const std::string_view words = trim(line);
    return lower(words.substr(0, words.find_first_of(" \t=")));
}

bool names(std::string_view conf, std::string_view setting) {
    const auto lines = split(conf, '\n');
    return std::any_of(lines.begin(), lines.end(), [&](std::string_view line) { return name_in(line) == setting; });
}

// %f and %p are replaced in it, %% is a percent sign.
std::string without_placeholders(std::string_view command) {
    std::string text;
    for (const char c : command) text.append(c == '%' ? 2 : 1, c);
    return text;
}

std::string recovery_settings(const Recovery& recovery) {
    const std::string command = fmt::format("{} --from {} --until {} %f %p", without_placeholders(recovery.archive_command),
                                            format_lsn(recovery.from), format_lsn(recovery.to));
    return recovery_conf(command, {{"recovery_target_timeline", std::to_string(recovery.timeline)},
                                   {"recovery_target_lsn", format_lsn(recovery.last)},
                                   {"recovery_target_inclusive", "on"},
                                   {"recovery_target_action", "promote"}});
}

}  // namespace

Result<std::vector<repository::Backup>> backups_of(const std::vector<repository::Backup>& backups,
                                                   const std::string& series, std::string_view kind) {
    std::vector<repository::Backup> ours;
    std::set<std::string> names;
    for (const repository::Backup& backup : backups) {
        if (backup.kind != kind || backup.store != "postgres") continue;
        if (!series.empty() && backup.name != series) continue;
        ours.push_back(backup);
        names.insert(backup.name);
    }
    if (ours.empty()) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no {} backup of PostgreSQL", kind),
                          "'aeterna-dr backups list' shows what there is.");
    }
    if (names.size() > 1) {
        return make_error(ErrorCode::kUsage, fmt::format("the repository has {} backups of more than one cluster", kind),
                          fmt::format("Name one (--name): {}.", join({names.begin(), names.end()}, ", ")));
    }
    std::sort(ours.begin(), ours.end(), [](const auto& a, const auto& b) { return a.id > b.id; });
    return ours;
}

Result<repository::Backup> choose_backup(const std::vector<repository::Backup>& backups, const std::string& to,
                                         const std::string& series, std::string_view kind) {
    if (to == "latest") {
        AETERNA_ASSIGN(const auto ours, backups_of(backups, series, kind));
        return ours.front();
    }
    std::vector<const repository::Backup*> found;
    for (const repository::Backup& backup : backups) {
        const bool is_ours = backup.kind == kind && backup.store == "postgres" && (series.empty() || backup.name == series);
        if (is_ours && backup.id.starts_with(to)) found.push_back(&backup);
    }
    if (found.empty()) {
        return make_error(ErrorCode::kNotFound, fmt::format("there is no {} backup '{}'", kind, one_line(to)),
                          "'aeterna-dr backups list' shows what there is.");
    }
    if (found.size() > 1) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' may mean {} backups", one_line(to), found.size()),
                          fmt::format("Write more of it, such as '{}'.", found.front()->id));
    }
    return *found.front();
}

Error lost_a_part(const repository::Backup& backup) {
    return make_error(ErrorCode::kCorrupt, fmt::format("the repository has lost a part of backup '{}'", backup.id),
                      "Restore another one (--to); 'aeterna-dr repo check' says which are whole.");
}

Result<std::map<std::string, std::string>> place_tablespaces(const std::vector<Tablespace>& tablespaces,
                                                             const std::vector<std::string>& words,
                                                             const std::string& into) {
    std::map<std::string, std::string> places;
    for (const Tablespace& one : tablespaces) places[fmt::format("pg_tblspc/{}", one.oid)] = one.location;
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        const std::string oid = word.substr(0, equals),
                          place = equals == std::string::npos ? "" : word.substr(equals + 1);
        const auto found = places.find("pg_tblspc/" + oid);
        if (found == places.end()) {
            return make_error(ErrorCode::kUsage, fmt::format("the backup has no tablespace '{}'", one_line(oid)),
                              "Write OID=DIR; --dry-run shows the tablespaces.");
        }
        if (place.empty() || place.front() != '/') {
            return make_error(ErrorCode::kUsage, fmt::format("'{}' is no absolute directory", one_line(place)),
                              "Write OID=/DIR.");
        }
        found->second = without_trailing_slashes(place);
    }
    for (const auto& [path, place] : places) {
        for (const auto& [other, other_place] : places) {
            if (path != other && lies_in(place, other_place)) {
                return make_error(ErrorCode::kUsage, fmt::format("two tablespaces would share '{}'", place),
                                  "Give each its own.");
            }
        }
        if (lies_in(place, into) || lies_in(into, place)) {
            return make_error(ErrorCode::kUsage,
                              fmt::format("the tablespace's place '{}' and the data directory overlap", place),
                              fmt::format("Name another: --tablespace {}=DIR.", path.substr(path.find('/') + 1)));
        }
    }
    return places;
}

std::string restored_auto_conf(std::string_view old, std::string_view conf, const std::string& into,
                               const ControlFile& control, Starter starter, const std::optional<Recovery>& recovery) {
    std::string text;
    for (const std::string_view line : split(old, '\n')) {
        if (std::find(std::begin(kDropped), std::end(kDropped), name_in(line)) != std::end(kDropped)) continue;
        text.append(line);
        text.push_back('\n');
    }
    while (text.size() > 1 && text.ends_with("\n\n")) text.pop_back();
    // The last value of a name counts, and this file outranks postgresql.conf.
    if (starter == Starter::kPeople) {
        text +=
            "# Written by aeterna-dr's restore: this server stands alone until somebody says otherwise (ALTER SYSTEM RESET "
            "of a name, then a restart).\n"
            "primary_conninfo = ''\n"
            "primary_slot_name = ''\n"
            "restore_command = ''\n"
            "archive_mode = 'off'\n"
            "synchronous_standby_names = ''\n"
            // An apply worker would take the live publisher's slot, and move it on.
            "max_logical_replication_workers = 0\n";
        for (const auto& [setting, value] : control.limits) text += fmt::format("{} = {}\n", setting, value);
        for (const auto& [setting, file] : {std::pair("hba_file", "/pg_hba.conf"), std::pair("ident_file", "/pg_ident.conf")}) {
            if (names(conf, setting) || names(old, setting)) text += fmt::format("{} = {}\n", setting, conf_string(into + file));
        }
    }
    if (recovery) text += "# Written by aeterna-dr's restore.\n" + recovery_settings(*recovery);
    return text;
}

std::vector<std::string> recovery_setting_names() {
    std::vector<std::string> names;
    const std::string settings = recovery_settings({});
    for (const std::string_view line : split(settings, '\n')) {
        if (!line.empty()) names.push_back(name_in(line));
    }
    return names;
}

std::span<const MinimalFile> minimal_files() {
    static constexpr MinimalFile kFiles[] = {
        {kConf, "# Written by aeterna-dr's restore: the backup's data directory had no postgresql.conf.\n"
                "listen_addresses = ''\n"},
        {"pg_hba.conf", "# Written by aeterna-dr's restore: the backup's data directory had no pg_hba.conf.\n"
                        "local all all peer\n"},
        // Only named where the old configuration names one; the server does not start without it.
        {"pg_ident.conf", "# Written by aeterna-dr's restore.\n"}};
    return kFiles;
}

}  // namespace aeterna::postgres
