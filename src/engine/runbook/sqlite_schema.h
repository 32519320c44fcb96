// The journal's file and its schema: created private, brought up to date one version after the
// other.
#pragma once

#include <memory>
#include <string>

#include "engine/runbook/sqlite.h"

namespace aeterna::engine::sqlite {

// Creates the file (0600) and its directory (0700) when missing. The schema's number is SQLite's
// user_version; a file of a newer version is refused with kConfiguration, an older one is upgraded
// in one transaction.
[[nodiscard]] Result<std::unique_ptr<Connection>> open_journal_file(const std::string& path);

}  // namespace aeterna::engine::sqlite
