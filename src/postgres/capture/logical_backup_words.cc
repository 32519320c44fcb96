// The pure half of logical_backup.h: options and details.
#include <fmt/format.h>

#include "base/url.h"
#include "postgres/capture/base_backup.h"
#include "postgres/capture/logical_backup.h"

namespace aeterna::postgres {
namespace {

constexpr int kProviderSince = 15, kOneLocaleSince = 17;

}  // namespace

std::string databases_query(int major) {
    std::string locale = "'c', ''";
    if (major >= kProviderSince) locale = "datlocprovider, coalesce(daticulocale, '')";
    if (major >= kOneLocaleSince) locale = "datlocprovider, coalesce(datlocale, '')";
    return "SELECT datname, pg_encoding_to_char(encoding), datcollate, datctype, " + locale +
           " FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname";
}

std::vector<DumpedDatabase> read_databases(const env::SqlRows& rows) {
    std::vector<DumpedDatabase> databases;
    for (const auto& row : rows.rows) {
        const auto text = [&](std::size_t column) { return row.size() > column ? row[column].value_or("") : ""; };
        databases.push_back({text(0), url_encode(text(0)) + ".dump", text(1), text(2), text(3), text(4), text(5)});
    }
    return databases;
}

std::vector<engine::CommandOption> logical_backup_options() {
    return {{"logical", "", "A dump of every database and of the roles, in place of the server's files", {}, false, true},
            {"database", "NAME", "With --logical: only this database", {}, true}};
}

Result<std::optional<LogicalBackupOptions>> read_logical_options(const engine::OptionValues& values) {
    const auto is_given = [&](const std::string& name) { return !engine::option_words(values, name).empty(); };
    if (!is_given("logical")) {
        if (!is_given("database")) return std::optional<LogicalBackupOptions>();
        return make_error(ErrorCode::kUsage, "a base backup is of all databases", "Add --logical to dump one alone.");
    }
    for (const engine::CommandOption& option : base_backup_options()) {
        if (!is_given(option.name)) continue;
        return make_error(ErrorCode::kUsage, fmt::format("--{} is of base backups", option.name),
                          "Leave it out with --logical.");
    }
    LogicalBackupOptions options;
    options.databases = engine::option_words(values, "database");
    return std::optional(std::move(options));
}

Json details_json(const LogicalDetails& details) {
    Json databases = Json::array();
    for (const DumpedDatabase& one : details.databases) {
        databases.push_back(Json{{"name", one.name},
                                 {"file", one.file},
                                 {"encoding", one.encoding},
                                 {"collate", one.collate},
                                 {"ctype", one.ctype},
                                 {"provider", one.provider},
                                 {"locale", one.locale}});
    }
    return Json{{"system_identifier", details.system_identifier},
                {"dump_major", details.dump_major},
                {"from_replica", details.from_replica},
                {"has_passwords", details.has_passwords},
                {"databases", databases}};
}

Result<LogicalDetails> read_logical_details(const Json& json) {
    const auto bad = [] {
        return make_error(ErrorCode::kCorrupt, "the backup's entry does not say what a logical backup says");
    };
    LogicalDetails details;
    details.system_identifier = find_string(json, "system_identifier").value_or("");
    details.from_replica = find_boolean(json, "from_replica").value_or(false);
    details.has_passwords = find_boolean(json, "has_passwords").value_or(false);
    const auto major = find_integer(json, "dump_major");
    const Json* databases = find_member(json, "databases");
    if (!major || *major < 1 || *major > 1000 || databases == nullptr || !databases->is_array()) return bad();
    details.dump_major = static_cast<int>(*major);
    for (const Json& one : *databases) {
        DumpedDatabase database;
        const auto name = find_string(one, "name"), file = find_string(one, "file");
        if (!name || !file) return bad();
        database.name = *name;
        database.file = *file;
        database.encoding = find_string(one, "encoding").value_or("");
        database.collate = find_string(one, "collate").value_or("");
        database.ctype = find_string(one, "ctype").value_or("");
        database.provider = find_string(one, "provider").value_or("c");
        database.locale = find_string(one, "locale").value_or("");
        details.databases.push_back(std::move(database));
    }
    return details;
}

}  // namespace aeterna::postgres
