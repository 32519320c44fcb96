// What a restore into a running server is asked for, and what it finds there. Pure.
#pragma once

#include <string>
#include <vector>

#include "postgres/capture/logical_backup.h"
#include "postgres/restore/archive_list.h"
#include "repository/catalog.h"

namespace aeterna::postgres {

struct LoadWish {
    std::string database;  // of the backup; empty: the one that is named as the target, or the only one
    std::vector<std::string> schemas, tables;  // both empty: everything
    bool clean = false;     // drop first what has the same names
    bool no_owner = false;  // everything belongs to who restores; no rights are granted
    std::string password_file;
    std::string kind;  // of the backup, "base" or "logical"; empty: what --to means

    [[nodiscard]] bool is_whole() const { return schemas.empty() && tables.empty(); }
};
[[nodiscard]] LoadWish read_load_wish(const engine::OptionValues& values);

// Whether a base backup is meant, and not a dump: a point in time is, and what only base backups have.
[[nodiscard]] bool means_base_backup(const std::vector<repository::Backup>& backups, const LoadWish& wish, const std::string& to,
                                     const std::string& series);

// kUsage with the names that there are, kNotFound for another name.
[[nodiscard]] Result<DumpedDatabase> choose_database(const std::vector<DumpedDatabase>& databases,
                                                     const std::string& wanted, const std::string& target);

// The server that it goes to.
struct LoadTarget {
    std::string address;  // "127.0.0.1:5432"
    std::string database;
    int major = 0;
    bool in_recovery = false;
    std::string system_identifier;
    bool exists = false;           // the database
    std::int64_t relations = 0;  // that people made in it
    std::string leftover{};      // what an interrupted restore into a new one has left, under its other name; empty: nothing
};
// kGuardRefused for a replica and for a server older than the dump, kUsage for --clean on a database that is not there.
Status check_load(int dump_major, const LoadWish& wish, const LoadTarget& target);

// Quoted as an identifier.
[[nodiscard]] std::string sql_name(const std::string& name);
// CREATE DATABASE as the dumped one was made.
[[nodiscard]] std::string create_database(const DumpedDatabase& like, const std::string& name, int server_major);

// pg_restore's words before the connection; `list` is the path for --use-list, if any.
[[nodiscard]] std::vector<std::string> load_command(const std::string& program, const LoadWish& wish, bool is_new,
                                                    const std::string& list);

[[nodiscard]] engine::RestorePlan describe_load(const repository::Backup& backup, const LogicalDetails& details,
                                                const DumpedDatabase& database, const LoadWish& wish,
                                                const LoadTarget& target, const ArchiveChoice& choice);
[[nodiscard]] std::string left_out_line(const std::string& entry);
// Out of a base backup, whose own plan is `restore`; what is in it is not known before its server is up.
[[nodiscard]] engine::RestorePlan describe_scratch_load(engine::RestorePlan restore, const LoadWish& wish, const LoadTarget& target);

}  // namespace aeterna::postgres
