// The backup engines that the stack file names (pgBackRest, WAL-G), beside our own repository: what the commands ask
// both.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/session.h"
#include "engine/capture/backup_engine.h"

namespace aeterna::app {

struct StoreEngine {
    std::string store;
    std::unique_ptr<engine::BackupEngine> engine;
};
// None without a stack file, and none with --repo or --key-file: those name a repository of ours.
[[nodiscard]] Result<std::vector<StoreEngine>> find_engines(Session& session);
[[nodiscard]] Result<std::unique_ptr<engine::BackupEngine>> find_engine(Session& session, const std::string& store);
// Whether a command has a repository of ours to look into as well, or has to complain that there is none.
[[nodiscard]] Result<bool> wants_repository(Session& session, const std::vector<StoreEngine>& engines);

// "native", or the engine that keeps it.
[[nodiscard]] std::string engine_of(const repository::Backup& backup);
// Everything, ours and the engines', in the order of time.
[[nodiscard]] Result<std::vector<repository::Backup>> list_backups(Session& session, const env::Context& context);
// The engine's backup that `id` means, by id, unique beginning, or "latest"; nothing when it is ours or none.
[[nodiscard]] Result<std::optional<repository::Backup>> find_engines_backup(Session& session, const std::string& id,
                                                                            const env::Context& context);

// Reads all that the engines store. kCorrupt's exit code for damage, kPartial's where something could not be verified.
[[nodiscard]] Result<int> check_engines(Session& session, const std::vector<StoreEngine>& engines, Json& document,
                                        const env::Context& context);

}  // namespace aeterna::app
