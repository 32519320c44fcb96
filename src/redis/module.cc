// RedisStore: wires settings, monitor, runbooks, drill and checks together. No logic of its own.
#include "redis/module.h"

#include "redis/check_config.h"
#include "redis/detect/monitor.h"
#include "redis/rights.h"
#include "redis/runbooks.h"
#include "redis/settings.h"
#include "redis/steps/return_sentry.h"
#include "redis/workload/redis_drill_store.h"

namespace aeterna::redis {
namespace {

class RedisStore final : public engine::Store {
  public:
    RedisStore(SettingsPointer settings, const config::Stack& stack, const env::Env& env)
        : settings_(std::move(settings)), stack_(stack), env_(env),
          guards_(std::make_shared<ReturnGuards>(settings_, env_)) {}

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_->objectives; }
    std::unique_ptr<engine::Monitor> make_monitor() override {
        return std::make_unique<RedisMonitor>(settings_, env_, histories_);
    }
    std::vector<engine::RunbookInfo> runbooks() const override { return runbook_list(); }
    Result<engine::Runbook> make_runbook(const std::string& runbook, const Json& parameters) override {
        auto acting = std::make_shared<Acting>();
        acting->cluster = std::make_shared<Cluster>(settings_, env_);
        acting->hands = make_hands(stack_, env_);
        acting->guards = guards_;
        acting->histories = histories_;
        acting->state_directory = stack_.state_directory;
        return build_runbook(runbook, parameters, acting);
    }
    std::unique_ptr<engine::DrillStore> make_drill_store() override {
        return make_redis_drill_store(settings_, env_);
    }
    std::unique_ptr<engine::Sentry> make_sentry() override {
        return std::make_unique<ReturnSentry>(settings_, env_, guards_, stack_.state_directory);
    }
    std::vector<std::vector<std::string>> fence_groups() const override {
        std::vector<std::vector<std::string>> groups;
        for (const auto& node : settings_->nodes) groups.push_back({node.name});
        return groups;
    }
    std::vector<engine::ConfigFinding> check_config(const env::Context& context) override {
        Cluster cluster(settings_, env_);
        return redis::check_config(cluster, context);
    }
    std::string least_privilege() const override { return least_privilege_text(*settings_); }

  private:
    std::string name_ = "redis";
    SettingsPointer settings_;
    const config::Stack& stack_;
    const env::Env& env_;
    std::shared_ptr<ReturnGuards> guards_;  // executions and the sentry meet in them
    std::shared_ptr<MasterHistories> histories_ = std::make_shared<MasterHistories>();  // the monitor tells the executions
};

class RedisModule final : public engine::StoreModule {
  public:
    std::string_view name() const override { return "redis"; }
    Result<std::unique_ptr<engine::Store>> open(const config::Stack& stack, const config::StoreSection& section,
                                                const env::Env& env) const override {
        AETERNA_ASSIGN(auto settings, load_settings(stack, section, env.files));
        return std::unique_ptr<engine::Store>(std::make_unique<RedisStore>(std::move(settings), stack, env));
    }
};

}  // namespace

std::unique_ptr<engine::StoreModule> make_module() { return std::make_unique<RedisModule>(); }

}  // namespace aeterna::redis
