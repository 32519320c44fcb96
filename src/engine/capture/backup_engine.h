// A backup program that a store has already, with a repository of its own (pgBackRest, WAL-G). Our commands drive it;
// its backups are read, never copied into ours, and its success is believed only as far as it can be checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/capture/backup.h"

namespace aeterna::engine {

struct EngineCheck {
    std::uint64_t backups = 0;              // that it has
    std::vector<std::string> problems;      // what is damaged or missing
    std::vector<std::string> not_verified;  // what could not be checked, or was not understood: nothing is known of it
    std::vector<std::string> hit_backups;   // by the problems
};

class BackupEngine {
  public:
    virtual ~BackupEngine() = default;
    [[nodiscard]] virtual const std::string& name() const = 0;  // "pgbackrest"
    // False: a backup with these options is none of its kind, and goes into our repository.
    [[nodiscard]] virtual bool takes(const OptionValues& options) const = 0;
    // Oldest first. kConfiguration where program or repository are not there, kProtocol for output that is not
    // understood.
    [[nodiscard]] virtual Result<std::vector<repository::Backup>> backups(const env::Context& context) = 0;
    [[nodiscard]] virtual Result<std::vector<RecoveryWindow>> recovery_windows(const env::Context& context) = 0;
    // Takes one. An error's effect is kPartial where the engine's repository may have something new.
    [[nodiscard]] virtual Result<repository::BackupResult> back_up(const BackupOrder& order,
                                                                   const env::Context& context) = 0;
    // As Restorer's.
    [[nodiscard]] virtual Result<RestorePlan> plan(const RestoreOrder& order, const env::Context& context) = 0;
    [[nodiscard]] virtual Result<repository::RestoreResult> restore(const RestoreOrder& order, const RestorePlan& plan,
                                                                    const env::Context& context) = 0;
    [[nodiscard]] virtual Result<EngineCheck> check(const env::Context& context) = 0;
};

}  // namespace aeterna::engine
