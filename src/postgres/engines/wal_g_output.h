// What WAL-G writes, read strictly: `backup-list --detail --json`, `wal-show --detailed-json`, and a backup's sentinel.
// Pure. Forms: WAL-G's manual (docs/PostgreSQL.md of its version 3.0.9) and its answers; what is not of these forms is
// kProtocol.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "postgres/engines/engine_backup.h"

namespace aeterna::postgres {

// Oldest first. Without any backup 3.0.9 prints an empty list, older ones nothing, and say so on stderr.
[[nodiscard]] Result<std::vector<EngineBackup>> parse_wal_g_backups(std::string_view output, std::string_view errors);
// Of a backup's sentinel, a JSON object in the storage: where its tablespaces were. Strict: a tablespace that is not seen
// costs data.
[[nodiscard]] Result<std::vector<std::string>> parse_wal_g_tablespaces(std::string_view sentinel);
// Ranges of segments and what is missing of them, and where timelines begin.
[[nodiscard]] Status read_wal_g_archive(std::string_view output, ArchivedWal& wal);

}  // namespace aeterna::postgres
