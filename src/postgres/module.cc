// Everything of engine/store.h, put together.
#include "postgres/module.h"

#include "env/posix/file_tree.h"
#include "env/posix/replication.h"
#include "postgres/capture/archive_get.h"
#include "postgres/capture/base_backup.h"
#include "postgres/capture/logical_backup.h"
#include "postgres/capture/receiver.h"
#include "postgres/capture/slot_guard.h"
#include "postgres/check_config.h"
#include "postgres/detect/monitor.h"
#include "postgres/engines/driver.h"
#include "postgres/client/sql.h"
#include "postgres/restore/export.h"
#include "postgres/restore/load.h"
#include "postgres/restore/restore.h"
#include "postgres/restore_test/tester.h"
#include "postgres/steps/steps.h"
#include "postgres/workload/drill_store.h"

namespace aeterna::postgres {

namespace {

class PostgresStore final : public engine::Store {
  public:
    PostgresStore(Settings settings, EngineSettings engine, const env::Env& env)
        : settings_(std::move(settings)), engine_(std::move(engine)), env_(env) {}

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_.objectives; }
    std::unique_ptr<engine::Monitor> make_monitor() override {
        auto monitor = std::make_unique<PostgresMonitor>(settings_, env_);
        watched_ = monitor->share_board();
        return monitor;
    }
    std::vector<engine::RunbookInfo> runbooks() const override { return runbook_infos(); }
    Result<engine::Runbook> make_runbook(const std::string& name, const Json& parameters) override {
        return postgres::make_runbook(name, parameters, settings_, env_, watched_, lent());
    }
    std::unique_ptr<engine::DrillStore> make_drill_store() override {
        return postgres::make_drill_store(settings_, env_);
    }
    std::unique_ptr<engine::Capture> make_capture(const engine::CaptureResources& resources) override {
        // The engine archives the WAL; what we captured beside it, no backup of ours would need.
        return engine_.is_native() ? make_receiver(settings_, env_, resources) : nullptr;
    }
    std::unique_ptr<engine::CaptureGuard> make_capture_guard(const engine::CaptureVoice& voice) override {
        return make_slot_guard(settings_, env_, voice);
    }
    bool wants_capture() const override { return settings_.captures; }
    std::vector<std::vector<std::string>> fence_groups() const override {
        std::vector<std::vector<std::string>> groups;
        for (const NodeSettings& node : settings_.nodes) groups.push_back(node.fence_group());
        return groups;
    }
    std::vector<engine::ConfigFinding> check_config(const env::Context& context) override {
        auto findings = postgres::check_config(settings_, env_, context);
        if (const auto driver = make_engine_driver(engine_, env_)) {
            for (engine::ConfigFinding& finding : driver->check_config(context)) findings.push_back(std::move(finding));
        }
        return findings;
    }
    Result<repository::BackupResult> back_up(repository::Repository& repository, const engine::BackupOrder& order,
                                             const env::Context& context) override {
        AETERNA_TRY(refuse_engine_options(order.options));
        AETERNA_ASSIGN(const auto logical, read_logical_options(order.options));
        if (logical) return take_logical_backup(settings_, env_, repository, order, *logical, context);
        const auto replication = env::make_libpq_replication_connector();
        return take_base_backup(settings_, env_, *replication, repository, order, context);
    }
    std::unique_ptr<engine::BackupEngine> make_backup_engine() override {
        return postgres::make_backup_engine(engine_, env_, env::make_posix_file_tree());
    }
    Result<std::uint64_t> data_bytes(const env::Context& context) override {
        Error last = make_error(ErrorCode::kUnavailable, "no PostgreSQL server is known");
        for (const NodeSettings& node : settings_.nodes) {
            const auto session = env_.sql.connect(settings_.sql_target(node.address), context);
            auto bytes = session ? database_bytes(**session, context) : Result<std::uint64_t>(session.error());
            if (bytes) return bytes;
            last = bytes.error();
        }
        return last;
    }
    std::vector<engine::TestQuery> test_queries() const override { return settings_.test_queries; }
    std::string least_privilege() const override { return postgres::least_privilege(settings_); }

  private:
    Settings settings_;
    EngineSettings engine_;
    const env::Env& env_;
    std::shared_ptr<const Board> watched_;  // of the last monitor made
    std::string name_ = "postgres";
};

class PostgresModule final : public engine::StoreModule {
  public:
    std::string_view name() const override { return "postgres"; }
    Result<std::unique_ptr<engine::Store>> open(const config::Stack& stack,
                                                const config::StoreSection& section,
                                                const env::Env& env) const override {
        return std::unique_ptr<engine::Store>(
            std::make_unique<PostgresStore>(read_settings(stack, section, env), read_engine_settings(section), env));
    }
    std::optional<std::vector<engine::CommandOption>> backup_options() const override {
        auto options = base_backup_options();
        for (auto& option : logical_backup_options()) options.push_back(std::move(option));
        for (auto& option : engine_backup_options()) options.push_back(std::move(option));
        return options;
    }
    std::optional<std::vector<engine::CommandOption>> restore_options() const override {
        return postgres::restore_options();
    }
    std::unique_ptr<engine::Restorer> make_restorer(const env::Env& env) const override { return postgres::make_restorer(env); }
    std::vector<engine::CommandOption> load_options() const override { return postgres::load_options(); }
    std::unique_ptr<engine::Restorer> make_loader(const env::Env& env, env::FileSystem& files) const override {
        return postgres::make_loader(env, files);
    }
    std::optional<std::vector<engine::CommandOption>> export_options() const override { return postgres::export_options(); }
    std::unique_ptr<engine::Exporter> make_exporter(env::FileSystem& files) const override {
        return postgres::make_exporter(files);
    }
    std::unique_ptr<engine::RestoreTester> make_restore_tester(const env::Env& env,
                                                               env::FileSystem& files) const override {
        return postgres::make_restore_tester(env, files);
    }
    std::optional<std::vector<engine::CommandOption>> restore_test_options() const override {
        return postgres::restore_test_options();
    }
    std::unique_ptr<engine::Archive> make_archive(const env::Env& env, env::FileSystem& files) const override {
        return postgres::make_archive(env, files);
    }
};

}  // namespace

std::unique_ptr<engine::StoreModule> make_module() { return std::make_unique<PostgresModule>(); }

}  // namespace aeterna::postgres
