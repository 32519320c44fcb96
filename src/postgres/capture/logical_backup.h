// A logical backup: pg_dump's custom format of each database and pg_dumpall's globals, streamed into the repository
// without a copy on disk. Uncompressed, so that the repository cuts, compares and compresses. docs/decisions/013 says why
// this format and not a directory.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/capture/backup.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

inline constexpr std::string_view kLogicalKind = "logical";
inline constexpr std::string_view kGlobalsFile = "globals.sql";  // roles, tablespaces; what no database's dump has

struct LogicalBackupOptions {
    std::vector<std::string> databases;  // empty: every one that takes connections
};
// Nothing when a backup of another kind is ordered. kUsage for options that a logical backup has not, or alone has.
[[nodiscard]] Result<std::optional<LogicalBackupOptions>> read_logical_options(const engine::OptionValues& values);
[[nodiscard]] std::vector<engine::CommandOption> logical_backup_options();

// As pg_database has it: what a new database needs to take the dump.
struct DumpedDatabase {
    std::string name;
    std::string file;  // in the backup
    std::string encoding, collate, ctype;
    std::string provider;  // "c", "i", "b": libc, ICU, builtin
    std::string locale;    // of ICU or builtin
    friend bool operator==(const DumpedDatabase&, const DumpedDatabase&) = default;
};
// Of a server of this major version, the databases that take connections; and its answer.
[[nodiscard]] std::string databases_query(int major);
[[nodiscard]] std::vector<DumpedDatabase> read_databases(const env::SqlRows& rows);
// What the catalog entry's `details` say.
struct LogicalDetails {
    std::string system_identifier;
    int dump_major = 0;  // of the pg_dump that wrote it: no older pg_restore reads it
    bool from_replica = false;
    bool has_passwords = false;  // whether the globals have the roles' password hashes
    std::vector<DumpedDatabase> databases;
};
[[nodiscard]] Json details_json(const LogicalDetails& details);
// kCorrupt for anything else than what details_json() gives.
[[nodiscard]] Result<LogicalDetails> read_logical_details(const Json& json);

// Chooses the node (source.h), takes the backup: each database as of one snapshot of its own, the globals last, so that
// they have every role that a dump names. After an error nothing is in the catalog.
[[nodiscard]] Result<repository::BackupResult> take_logical_backup(const Settings& settings, const env::Env& env,
                                                                   repository::Repository& repository,
                                                                   const engine::BackupOrder& order,
                                                                   const LogicalBackupOptions& options,
                                                                   const env::Context& context);

}  // namespace aeterna::postgres
