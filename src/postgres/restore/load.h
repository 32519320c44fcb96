// `restore postgres --into postgresql://…`: a database of a logical backup, or of a base backup at any point of its
// WAL, or some of its schemas or tables, into a server that runs, by stock pg_restore, which stops at its first error.
// A database that is there gets everything in one transaction or nothing; a new one gets its name when it has
// everything (new_database.h), and is dropped again when something fails.
#pragma once

#include <memory>
#include <vector>

#include "engine/capture/backup.h"
#include "env/env.h"
#include "env/file_system.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Restorer> make_loader(const env::Env& env, env::FileSystem& files);
[[nodiscard]] std::vector<engine::CommandOption> load_options();

}  // namespace aeterna::postgres
