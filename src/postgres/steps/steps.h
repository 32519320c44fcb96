// PostgreSQL's steps and runbooks. One step, one file, one spec; the table below is what documents
// and plans list.
//
// failover:   await_promotion → confirm_one_writer → await_rejoin
// switchover: check_switchover → switchover → confirm_one_writer → await_rejoin
//
// Facts that the steps share: "old_primary" (node name), "new_primary" (node name), "candidate"
// (node name).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/runbook/step.h"
#include "engine/store.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// What a step is built from: the stack's settings and the runbook's parameters, no memory.
struct StepParts {
    const Settings& settings;
    const env::Env& env;
    std::string candidate;    // node name; empty: choose
    std::string old_primary;  // node name; empty: ask the cluster
};

[[nodiscard]] std::unique_ptr<engine::Step> make_await_promotion(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_await_rejoin(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_check_switchover(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_confirm_one_writer(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_switchover(StepParts parts);

// Sorted by name.
[[nodiscard]] std::span<const engine::StepSpec* const> step_specs();

[[nodiscard]] std::vector<engine::RunbookInfo> runbook_infos();
// kNotFound: no such runbook. kUsage: unknown or wrong parameters, an unknown node.
[[nodiscard]] Result<engine::Runbook> make_runbook(const std::string& name, const Json& parameters,
                                                   const Settings& settings, const env::Env& env);

// The specs, each defined in its step's file.
extern const engine::StepSpec kAwaitPromotionSpec;
extern const engine::StepSpec kAwaitRejoinSpec;
extern const engine::StepSpec kCheckSwitchoverSpec;
extern const engine::StepSpec kConfirmOneWriterSpec;
extern const engine::StepSpec kSwitchoverSpec;

}  // namespace aeterna::postgres
