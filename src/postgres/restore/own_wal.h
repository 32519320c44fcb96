// The WAL that a base backup brings: from where its replay begins to the end of its last whole record, which may lie behind the
// point where it is consistent.
#pragma once

#include <string>
#include <vector>

#include "postgres/restore/starting_point.h"

namespace aeterna::postgres {

// The directories that CREATE TABLESPACE took while the backup was taken, empty where one is longer than what is read of it. As
// far as the backup brings whole WAL: where it does not, a server can replay it from the log alone, which is looked through for
// itself, and what is damaged no server replays. The index is open.
[[nodiscard]] Result<std::vector<std::string>> tablespaces_in_own_wal(repository::Repository& repository,
                                                                      const repository::Backup& backup,
                                                                      const StartingPoint& start, const env::Context& context);

}  // namespace aeterna::postgres
