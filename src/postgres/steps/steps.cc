// The table of steps and the runbooks made of them.
#include "postgres/steps/steps.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

namespace {

constexpr std::array<const engine::StepSpec*, 22> kStepSpecs{
    &kAwaitPromotionSpec,   &kAwaitRejoinSpec,   &kBackUpSpec,       &kCheckRestoreSpec,  &kCheckSwitchoverSpec,
    &kClearKeysSpec,        &kConfirmOneWriterSpec, &kEndOrphansSpec,    &kFenceSpec,        &kFetchRestoreSpec,  &kHandOverSpec,
    &kOrderFailoverSpec,    &kProveLossSpec,     &kRejoinMembersSpec, &kReleaseLeaseSpec, &kReplayRestoreSpec, &kRestartAgentSpec,
    &kSalvageSpec,          &kStopClusterSpec,   &kSwapDataSpec,     &kSwitchoverSpec,    &kUnfenceSpec};

// Accepts a node's or a member's name; kUsage when neither knows it.
Result<std::string> node_parameter(const Json& parameters, const std::string& key,
                                   const Settings& settings) {
    const Json* value = find_member(parameters, key);
    if (!value) return std::string();
    if (!value->is_string())
        return make_error(ErrorCode::kUsage, "parameter '" + key + "' is not a name");
    const std::string name = value->get<std::string>();
    if (name.empty() || settings.find(name)) return name;
    if (const NodeSettings* node = settings.find_member(name)) return node->name;
    std::string known;
    for (const NodeSettings& node : settings.nodes)
        known += (known.empty() ? "" : ", ") + node.name;
    return make_error(ErrorCode::kUsage, "'" + name + "' is no PostgreSQL node of this stack",
                      "Name one of: " + known + ".");
}

Status check_keys(const Json& parameters, std::initializer_list<std::string_view> allowed) {
    if (!parameters.is_object())
        return make_error(ErrorCode::kUsage, "parameters must be an object");
    for (const auto& item : parameters.items()) {
        if (std::find(allowed.begin(), allowed.end(), item.key()) == allowed.end())
            return make_error(ErrorCode::kUsage, "unknown parameter '" + item.key() + "'");
    }
    return {};
}

engine::Runbook failover(const StepParts& parts) {
    engine::Runbook runbook{
        "failover", "postgres", "get a primary back after the old one was lost", "failover", {}};
    runbook.steps.push_back(make_restart_agent(parts));
    runbook.steps.push_back(make_prove_loss(parts));
    runbook.steps.push_back(make_fence(parts));
    runbook.steps.push_back(make_release_lease(parts));
    runbook.steps.push_back(make_order_failover(parts));
    runbook.steps.push_back(make_await_promotion(parts));
    runbook.steps.push_back(make_confirm_one_writer(parts));
    runbook.steps.push_back(make_end_orphans(parts));
    runbook.steps.push_back(make_salvage(parts));
    runbook.steps.push_back(make_unfence(parts));
    runbook.steps.push_back(make_await_rejoin(parts));
    return runbook;
}

engine::Runbook switchover(const StepParts& parts) {
    engine::Runbook runbook{
        "switchover", "postgres", "move the primary on purpose, losing nothing", "switchover", {}};
    runbook.steps.push_back(make_check_switchover(parts));
    runbook.steps.push_back(make_switchover(parts));
    runbook.steps.push_back(make_confirm_one_writer(parts));
    runbook.steps.push_back(make_await_rejoin(parts));
    return runbook;
}

engine::Runbook restore(const StepParts& parts) {
    engine::Runbook runbook{std::string(engine::kRestoreRunbook),
                            "postgres",
                            "put the cluster back to an earlier point, where it lives",
                            "restore",
                            {}};
    runbook.steps.push_back(make_check_restore(parts));
    runbook.steps.push_back(make_fetch_restore(parts));
    runbook.steps.push_back(make_replay_restore(parts));
    runbook.steps.push_back(make_stop_cluster(parts));
    runbook.steps.push_back(make_swap_data(parts));
    runbook.steps.push_back(make_clear_keys(parts));
    runbook.steps.push_back(make_hand_over(parts));
    runbook.steps.push_back(make_confirm_one_writer(parts));
    runbook.steps.push_back(make_rejoin_members(parts));
    runbook.steps.push_back(make_back_up(parts));
    runbook.budget = std::chrono::hours(24 * 7);
    return runbook;
}

}  // namespace

std::span<const engine::StepSpec* const> step_specs() { return kStepSpecs; }

std::vector<engine::RunbookInfo> runbook_infos() {
    return {
        {"failover",
         "get a primary back: by assist where it may act, else by waiting for Patroni; explain "
         "what hinders it, confirm one writer, watch the rejoin"},
        {"restore",
         "put the cluster back to an earlier point, where it lives; begun by 'aeterna-dr restore postgres --in-place'"},
        {"switchover", "move the primary to a chosen replica through Patroni, losing nothing"}};
}

Result<engine::Runbook> make_runbook(const std::string& name, const Json& parameters, const Settings& settings,
                                     const env::Env& env, std::shared_ptr<const Board> watched,
                                     std::shared_ptr<const engine::LentRepository> lent) {
    StepParts parts{settings, env, "", "", config::Assist::kOff, std::move(watched)};
    if (name == "failover") {
        AETERNA_TRY(check_keys(parameters, {"old_primary", "assist", "candidate"}));
        AETERNA_ASSIGN(parts.assist, engine::assist_parameter(parameters));
        AETERNA_ASSIGN(parts.old_primary, node_parameter(parameters, "old_primary", settings));
        AETERNA_ASSIGN(parts.candidate, node_parameter(parameters, "candidate", settings));
        if (!parts.candidate.empty() && parts.assist != config::Assist::kAct)
            return make_error(ErrorCode::kUsage, fmt::format("a candidate is named, and assist is '{}'", config::assist_name(parts.assist)),
                              "Say assist 'act', or leave the choice to Patroni.");
        return failover(parts);
    }
    if (name == "switchover") {
        AETERNA_TRY(check_keys(parameters, {"candidate"}));
        AETERNA_ASSIGN(parts.candidate, node_parameter(parameters, "candidate", settings));
        return switchover(parts);
    }
    if (name == engine::kRestoreRunbook) {
        AETERNA_TRY(check_keys(parameters, {"node", "backup", "to", "replay", "superuser"}));
        AETERNA_ASSIGN(parts.candidate, node_parameter(parameters, "node", settings));
        AETERNA_ASSIGN(parts.restore, read_restore_wish(parameters));
        parts.lent = std::move(lent);
        return restore(parts);
    }
    return make_error(ErrorCode::kNotFound, "postgres has no runbook '" + name + "'",
                      "It has failover, restore and switchover.");
}

}  // namespace aeterna::postgres
