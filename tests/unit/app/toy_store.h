// A store "redis" without servers, for the tests of what the program does with any store.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/store.h"

namespace aeterna::app {

// Its failover is one step that leaves the facts which an assist would leave.
class ToyStore final : public engine::Store {
  public:
    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return objectives_; }
    std::unique_ptr<engine::Monitor> make_monitor() override { return nullptr; }
    std::vector<engine::RunbookInfo> runbooks() const override { return infos; }
    std::vector<std::vector<std::string>> fence_groups() const override { return groups; }
    Result<engine::Runbook> make_runbook(const std::string& name, const Json& parameters) override {
        built.push_back(parameters);
        class Step final : public engine::Step {
          public:
            Step(std::string assist, const Status& outcome) : assist_(std::move(assist)), outcome_(outcome) {}
            const engine::StepSpec& spec() const override {
                static const engine::StepSpec kSpec{"redis.toy", "a toy", engine::Risk::kReadOnly, std::chrono::seconds(10), false};
                return kSpec;
            }
            std::string describe() const override { return "play"; }
            Result<engine::CheckOutcome> check(engine::StepContext&) override { return engine::CheckOutcome::kReady; }
            Status apply(engine::StepContext& step) override {
                if (assist_ == "act") step.facts["assist"] = "acted";
                if (assist_ == "propose") step.proposal->put("fence redis-1");
                return outcome_;
            }
            Status verify(engine::StepContext&) override { return {}; }

          private:
            std::string assist_;
            Status outcome_;
        };
        engine::Runbook runbook{name, "redis", "", "failover", {}};
        runbook.steps.push_back(std::make_unique<Step>(find_string(parameters, "assist").value_or("?"), outcome));
        return runbook;
    }
    std::unique_ptr<engine::DrillStore> make_drill_store() override { return nullptr; }
    std::vector<engine::ConfigFinding> check_config(const env::Context&) override { return {}; }
    std::string least_privilege() const override { return ""; }

    std::vector<Json> built;  // parameters, in order
    Status outcome;
    std::vector<engine::RunbookInfo> infos{{"failover", "a toy"}};
    std::vector<std::vector<std::string>> groups{{"agent-1", "redis-1"}, {"redis-2"}};

  private:
    std::string name_ = "redis";
    config::Objectives objectives_;
};

}  // namespace aeterna::app
