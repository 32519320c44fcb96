// What pgBackRest writes, read strictly: `info --output=json`, `repo-ls --output=json --recurse`, `verify --output=text
// --verbose`, and the lines of its log. Pure. Forms and meanings: pgBackRest 2.45's own manual and what it answered
// when it was tried; what is not of these forms is kProtocol, or not verified.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/capture/backup_engine.h"
#include "env/processes.h"
#include "postgres/capture/base_backup.h"
#include "postgres/engines/engine_backup.h"

namespace aeterna::postgres {

struct PgBackRestArchive {
    std::int64_t place = 1;  // the number of its repository ("key")
    std::string id;          // "15-1": its folder below archive/STANZA
};

struct PgBackRestInfo {
    std::int64_t code = 0;  // 0 ok, 2 no backup yet, 4 not the same in every repository, 5 of several clusters …
    std::string message;
    std::vector<std::int64_t> places;
    std::vector<std::string> troubles;        // of single repositories
    std::vector<PgBackRestArchive> archives;  // of the cluster as it is now (after the last stanza-upgrade)
    std::vector<EngineBackup> backups;        // of the same, oldest first
    std::vector<EngineBackup> older;          // of clusters before
};
[[nodiscard]] Result<PgBackRestInfo> parse_pgbackrest_info(std::string_view text, const std::string& stanza);
// Whether there is a stanza to work with. kConfiguration.
[[nodiscard]] Status judge_pgbackrest_stanza(const PgBackRestInfo& info, const std::string& stanza);

// Of `info --set=LABEL`; empty, too, where it does not tell.
[[nodiscard]] std::vector<Tablespace> pgbackrest_tablespaces(std::string_view info, const std::string& label);

// What lies in an archive's folder: segments into `wal`, the paths of history files into `histories`.
[[nodiscard]] Status read_pgbackrest_listing(std::string_view text, ArchivedWal& wal,
                                             std::vector<std::string>& histories);

// Adds to `check` what verify says of one repository, whatever its exit code was: 0 on corruption, too. A backup of
// `expected` that it does not call valid is a problem or, where it says nothing of it, not verified.
void read_pgbackrest_verify(std::string_view text, const std::string& stanza, const std::vector<std::string>& expected,
                            engine::EngineCheck& check);

// "… backup file … (768KB, 3.39%) …" → 3.39.
[[nodiscard]] std::optional<double> pgbackrest_percent(std::string_view line);
// The texts of "WARN: …" lines.
[[nodiscard]] std::vector<std::string> pgbackrest_warnings(std::string_view text);
// "pgBackRest 2.45" → "2.45".
[[nodiscard]] std::string pgbackrest_version(std::string_view text);

// The success of a run, or the error that its exit code (src/common/error.auto.c: 50 lock, 82 archive timeout …) and
// its last "ERROR: [NNN]: …" line mean.
Status judge_pgbackrest(const env::RunResult& result);

}  // namespace aeterna::postgres
