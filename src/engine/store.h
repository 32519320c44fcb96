// Store: everything the engines, the commands and the drills want of one store. app/registry.cc lists the modules.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/stack.h"
#include "engine/capture/backup.h"
#include "engine/capture/backup_engine.h"
#include "engine/capture/capture.h"
#include "engine/detect/monitor.h"
#include "engine/drill/drill_store.h"
#include "engine/restore_test/restore_test.h"
#include "engine/runbook/step.h"
#include "engine/sentry.h"

namespace aeterna::engine {

struct RunbookInfo {
    std::string name;  // "failover", "switchover"
    std::string help;
};

// One line of `config check`.
struct ConfigFinding {
    enum class Level { kOk, kWarning, kError };
    Level level = Level::kOk;
    std::string subject;  // "postgres-1 SQL"
    std::string message;
    std::string hint;
};

// What runbooks that restore work with.
struct LentRepository {
    // Opens the stack's repository with its index; what was opened before is closed.
    std::function<Result<repository::Repository*>(repository::SessionKind, const env::Context&)> open;
    env::FileSystem& files;
    env::FileTree& tree;
};
// The runbook that puts a store's data back to an earlier point where it lives. Until it has ended, nothing else acts
// on the store.
inline constexpr std::string_view kRestoreRunbook = "restore";

class Store {
  public:
    virtual ~Store() = default;
    // Must outlive the runbooks that are made from then on; without it there is none that restores.
    void lend(std::shared_ptr<const LentRepository> repository) { lent_ = std::move(repository); }
    [[nodiscard]] virtual const std::string& name() const = 0;
    [[nodiscard]] virtual const config::Objectives& objectives() const = 0;
    [[nodiscard]] virtual std::unique_ptr<Monitor> make_monitor() = 0;
    [[nodiscard]] virtual std::vector<RunbookInfo> runbooks() const = 0;
    // Parameters: "candidate" (switchover), "old_primary" (failover, from the incident). kNotFound for an unknown
    // name, kUsage for bad parameters. No I/O.
    [[nodiscard]] virtual Result<Runbook> make_runbook(const std::string& name, const Json& parameters) = 0;
    [[nodiscard]] virtual std::unique_ptr<DrillStore> make_drill_store() = 0;
    // nullptr where a store has none.
    [[nodiscard]] virtual std::unique_ptr<Sentry> make_sentry() { return nullptr; }
    // Nothing for a store whose log is not captured. `resources` are copied; what they refer to must outlive it.
    [[nodiscard]] virtual std::unique_ptr<Capture> make_capture(const CaptureResources& /*resources*/) { return nullptr; }
    // Beside a capture, whatever becomes of that. Null where nothing is held for it. This store must outlive it.
    [[nodiscard]] virtual std::unique_ptr<CaptureGuard> make_capture_guard(const CaptureVoice& /*voice*/) { return nullptr; }
    // The stack file wants serve to capture it.
    [[nodiscard]] virtual bool wants_capture() const { return false; }
    // The servers of this store that take writes, each as the nodes that are fenced together: an agent before what it
    // starts ({"patroni-1", "postgres-1"}).
    [[nodiscard]] virtual std::vector<std::vector<std::string>> fence_groups() const { return {}; }
    // Asks the live servers; one finding per thing looked at.
    [[nodiscard]] virtual std::vector<ConfigFinding> check_config(const env::Context& context) = 0;
    // Takes one backup into the repository, whose index is open. kUsage where the store has no backups yet.
    [[nodiscard]] virtual Result<repository::BackupResult> back_up(repository::Repository&, const BackupOrder&,
                                                                   const env::Context&) {
        return make_error(ErrorCode::kUsage, "this store cannot be backed up yet");
    }
    // Null where we take the backups ourselves. This store must outlive it.
    [[nodiscard]] virtual std::unique_ptr<BackupEngine> make_backup_engine() { return nullptr; }
    // What the data takes now, of the servers that run. kUsage where the store cannot say.
    [[nodiscard]] virtual Result<std::uint64_t> data_bytes(const env::Context&) {
        return make_error(ErrorCode::kUsage, "this store does not say its size");
    }
    // The stack file's own questions to a restored server.
    [[nodiscard]] virtual std::vector<TestQuery> test_queries() const { return {}; }
    // SQL, ACL lines and the like that create the roles with just the rights that we need, as text for people.
    [[nodiscard]] virtual std::string least_privilege() const = 0;

  protected:
    [[nodiscard]] const std::shared_ptr<const LentRepository>& lent() const { return lent_; }

  private:
    std::shared_ptr<const LentRepository> lent_;
};

class StoreModule {
  public:
    virtual ~StoreModule() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    // Reads the store's own settings (strictly, through `section.settings`). kConfiguration. No network.
    // `stack` and `env` must outlive the store.
    [[nodiscard]] virtual Result<std::unique_ptr<Store>> open(const config::Stack& stack,
                                                              const config::StoreSection& section,
                                                              const env::Env& env) const = 0;
    // The options of `backup` and `restore` that only this store has; nothing where it has no such command.
    [[nodiscard]] virtual std::optional<std::vector<CommandOption>> backup_options() const { return std::nullopt; }
    [[nodiscard]] virtual std::optional<std::vector<CommandOption>> restore_options() const { return std::nullopt; }
    // Needs no stack file: a repository and its key are enough. Null where it has none.
    [[nodiscard]] virtual std::unique_ptr<Restorer> make_restorer(const env::Env& /*env*/) const { return nullptr; }
    // Restores into a server that runs, named by a URL. Null where there is none.
    [[nodiscard]] virtual std::vector<CommandOption> load_options() const { return {}; }
    [[nodiscard]] virtual std::unique_ptr<Restorer> make_loader(const env::Env& /*env*/, env::FileSystem& /*files*/) const { return nullptr; }
    // Nothing where it has no such command.
    [[nodiscard]] virtual std::optional<std::vector<CommandOption>> export_options() const { return std::nullopt; }
    [[nodiscard]] virtual std::unique_ptr<Exporter> make_exporter(env::FileSystem& /*files*/) const { return nullptr; }
    // Null where a store has no restore test; its own options then, as of the commands above.
    [[nodiscard]] virtual std::unique_ptr<RestoreTester> make_restore_tester(const env::Env& /*env*/, env::FileSystem& /*files*/) const {
        return nullptr;
    }
    [[nodiscard]] virtual std::optional<std::vector<CommandOption>> restore_test_options() const { return std::nullopt; }
    // Nothing for a store whose servers ask for no files.
    [[nodiscard]] virtual std::unique_ptr<Archive> make_archive(const env::Env& /*env*/, env::FileSystem& /*files*/) const {
        return nullptr;
    }
};

}  // namespace aeterna::engine
