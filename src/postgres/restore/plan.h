// What a restore of PostgreSQL does to which paths. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/capture/base_backup.h"
#include "postgres/capture/timeline_history.h"
#include "postgres/client/wal.h"
#include "repository/catalog.h"

namespace aeterna::postgres {

// The backups of this kind ("base", "logical") and of one series, newest first; without `series` there may be only one name. kUsage,
// kNotFound.
[[nodiscard]] Result<std::vector<repository::Backup>> backups_of(const std::vector<repository::Backup>& backups,
                                                                 const std::string& series, std::string_view kind = kBaseKind);
// The one that `to` means: "latest", an id, or the unique beginning of one. kUsage, kNotFound.
[[nodiscard]] Result<repository::Backup> choose_backup(const std::vector<repository::Backup>& backups,
                                                       const std::string& to, const std::string& series,
                                                       std::string_view kind = kBaseKind);

// Of a backup of which the repository no longer has everything.
[[nodiscard]] Error lost_a_part(const repository::Backup& backup);

// Where each tablespace goes: "pg_tblspc/OID" → an absolute directory, from the words "OID=DIR"; those that no word
// names go where they were. kUsage for a word that is wrong, names no tablespace, or a place inside `into` or
// another's.
[[nodiscard]] Result<std::map<std::string, std::string>> place_tablespaces(const std::vector<Tablespace>& tablespaces,
                                                                           const std::vector<std::string>& words,
                                                                           const std::string& into);

// What a server does with the WAL in the repository once it is started.
struct Recovery {
    std::string archive_command;  // that gets files of the log
    Timeline timeline = 0;
    Lsn from = 0, to = 0;  // what it may see of it
    Lsn last = 0;          // the record after which it promotes
};

// Who starts the restored server.
enum class Starter {
    kPeople,            // it stands alone until they say otherwise
    kPatroniBootstrap,  // Patroni, as the first member of a new cluster (bootstrap.method): its settings count
    kPatroniReplica,    // Patroni, as a replica (create_replica_methods), which it tells whom to follow
};

// postgresql.auto.conf of the restored server: the old one without what tied it to its cluster. Where people start it, with settings
// that outrank postgresql.conf (whose text is `conf`), so that it neither follows another server, nor archives into the live archive,
// nor waits for standbys, nor takes the rules of who may log in from the live server's directory (Patroni names them by
// absolute paths) but from `into`. The limits are the primary's, which an agent may have given on the command line: a server
// with less does not replay its WAL.
[[nodiscard]] std::string restored_auto_conf(std::string_view old, std::string_view conf, const std::string& into,
                                             const ControlFile& control, Starter starter,
                                             const std::optional<Recovery>& recovery);

// What of that belongs to the recovery alone, and stays until somebody resets it (ALTER SYSTEM RESET).
[[nodiscard]] std::vector<std::string> recovery_setting_names();

// Files of a data directory.
inline constexpr const char* kConf = "postgresql.conf";
inline constexpr const char* kAutoConf = "postgresql.auto.conf";
inline constexpr std::size_t kMostConfBytes = 1 << 20;
// A server that finds it asks restore_command for WAL, goes to the target and promotes; with the other one it never
// does.
inline constexpr const char* kRecoverySignal = "recovery.signal";
inline constexpr const char* kStandbySignal = "standby.signal";

// What a data directory lacks whose configuration lay elsewhere (Debian's /etc/postgresql): enough for its owner to
// start it.
struct MinimalFile {
    const char* name;
    const char* content;
};
[[nodiscard]] std::span<const MinimalFile> minimal_files();

}  // namespace aeterna::postgres
