// What differs between engines; engine.cc does the rest: judges what they say, chooses, and makes a server stand alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/capture/backup_engine.h"
#include "engine/store.h"
#include "env/file_tree.h"
#include "postgres/engines/engine_backup.h"
#include "postgres/engines/engine_program.h"

namespace aeterna::postgres {

class EngineDriver {
  public:
    virtual ~EngineDriver() = default;
    [[nodiscard]] virtual Result<EngineCatalog> read_catalog(const env::Context& context) = 0;
    // Only the backups of it: an archive may have millions of files.
    [[nodiscard]] virtual Result<std::vector<EngineBackup>> read_backups(const env::Context& context) = 0;
    // kUsage for options that this engine has not.
    virtual Status check_options(const engine::BackupOrder& order) const = 0;
    virtual Status check_options(const engine::RestoreOrder& order) const = 0;
    // Takes a backup; success is the program's word only.
    virtual Status push(const engine::BackupOrder& order, const env::Context& context) = 0;
    // Before a fetch, touching nothing: what else of it the plan has to say. kGuardRefused where the fetch would write over
    // what nobody has looked at.
    [[nodiscard]] virtual Result<std::vector<std::string>> examine(const EngineBackup& backup,
                                                                   const EngineCatalog& catalog,
                                                                   const env::Context& context) = 0;
    // Brings one into the empty directory order.into.
    virtual Status fetch(const EngineBackup& backup, const engine::RestoreOrder& order,
                         const env::Context& context) = 0;
    // For the server in `into`: 1 only where the archive has no such file, above 125 for every failure, for PostgreSQL
    // takes everything between for the end of WAL and promotes (xlogarchive.c).
    [[nodiscard]] virtual std::string restore_command(const std::string& into) const = 0;
    // Reads what is stored, as far as the engine can.
    virtual Status verify(const EngineCatalog& catalog, engine::EngineCheck& check, const env::Context& context) = 0;
    // Of `config check`: program, version, repository.
    [[nodiscard]] virtual std::vector<engine::ConfigFinding> check_config(const env::Context& context) = 0;
};

// `settings` and `env` must outlive them.
[[nodiscard]] std::unique_ptr<EngineDriver> make_pgbackrest_driver(const EngineSettings& settings, const env::Env& env);
[[nodiscard]] std::unique_ptr<EngineDriver> make_wal_g_driver(const EngineSettings& settings, const env::Env& env);

// Null where the engine is our own.
[[nodiscard]] std::unique_ptr<EngineDriver> make_engine_driver(const EngineSettings& settings, const env::Env& env);
[[nodiscard]] std::unique_ptr<engine::BackupEngine> make_backup_engine(const EngineSettings& settings,
                                                                       const env::Env& env,
                                                                       std::unique_ptr<env::FileTree> tree);
// Of `backup postgres`, beside those of our own backups.
[[nodiscard]] std::vector<engine::CommandOption> engine_backup_options();
// kUsage where one is given without an engine.
[[nodiscard]] Status refuse_engine_options(const engine::OptionValues& values);

}  // namespace aeterna::postgres
