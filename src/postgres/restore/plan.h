// What a restore of PostgreSQL does to which paths. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/capture/base_backup.h"
#include "repository/catalog.h"

namespace aeterna::postgres {

// The backup of this kind ("base", "logical") that `to` means: "latest", an id, or the unique beginning of one. `series` keeps only the backups of
// that name; without it there may be only one name. kUsage, kNotFound.
[[nodiscard]] Result<repository::Backup> choose_backup(const std::vector<repository::Backup>& backups,
                                                       const std::string& to, const std::string& series,
                                                       std::string_view kind = "base");

// Where each tablespace goes: "pg_tblspc/OID" → an absolute directory, from the words "OID=DIR"; those that no word
// names go where they were. kUsage for a word that is wrong, names no tablespace, or a place inside `into` or
// another's.
[[nodiscard]] Result<std::map<std::string, std::string>> place_tablespaces(const std::vector<Tablespace>& tablespaces,
                                                                           const std::vector<std::string>& words,
                                                                           const std::string& into);

// postgresql.auto.conf of the restored server: the old one without what tied it to its cluster, and with settings that outrank
// postgresql.conf (whose text is `conf`), so that it neither follows another server, nor archives into the live archive, nor
// waits for standbys, nor takes the rules of who may log in from the live server's directory (Patroni names them by
// absolute paths) but from `into`.
[[nodiscard]] std::string restored_auto_conf(std::string_view old, std::string_view conf, const std::string& into);

// For a data directory whose configuration lay elsewhere (Debian's /etc/postgresql): enough for its owner to start it.
[[nodiscard]] std::string minimal_conf();
[[nodiscard]] std::string minimal_hba();

}  // namespace aeterna::postgres
