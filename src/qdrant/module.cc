#include "qdrant/module.h"

#include "qdrant/check_config.h"
#include "qdrant/detect/monitor.h"
#include "qdrant/workload/drill_store.h"

namespace aeterna::qdrant {
namespace {

class QdrantStore final : public engine::Store {
  public:
    QdrantStore(SettingsPointer settings, const env::Env& env)
        : settings_(std::move(settings)), env_(env) {}

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_->objectives; }
    std::unique_ptr<engine::Monitor> make_monitor() override {
        return std::make_unique<QdrantMonitor>(settings_, env_);
    }
    std::vector<engine::RunbookInfo> runbooks() const override { return {}; }
    Result<engine::Runbook> make_runbook(const std::string& name, const Json&) override {
        return make_error(ErrorCode::kNotFound, "qdrant has no runbook '" + name + "'",
                          "Qdrant has no primary: its peers take over by themselves.");
    }
    std::unique_ptr<engine::DrillStore> make_drill_store() override {
        return qdrant::make_drill_store(settings_, env_);
    }
    std::vector<std::vector<std::string>> fence_groups() const override {
        std::vector<std::vector<std::string>> groups;
        for (const auto& node : settings_->nodes) groups.push_back({node.name});
        return groups;
    }
    std::vector<engine::ConfigFinding> check_config(const env::Context& context) override {
        return qdrant::check_config(*settings_, env_, context);
    }
    std::string least_privilege() const override { return qdrant::least_privilege(); }

  private:
    std::string name_ = "qdrant";
    SettingsPointer settings_;
    const env::Env& env_;
};

class QdrantModule final : public engine::StoreModule {
  public:
    std::string_view name() const override { return "qdrant"; }
    Result<std::unique_ptr<engine::Store>> open(const config::Stack& stack,
                                                const config::StoreSection& section,
                                                const env::Env& env) const override {
        AETERNA_ASSIGN(SettingsPointer settings, load_settings(stack, section, env.files));
        return std::make_unique<QdrantStore>(std::move(settings), env);
    }
};

}  // namespace

std::unique_ptr<engine::StoreModule> make_module() { return std::make_unique<QdrantModule>(); }

}  // namespace aeterna::qdrant
