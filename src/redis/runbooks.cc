// Which steps make a failover and a switchover.
#include "redis/runbooks.h"

#include <algorithm>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

// A parameter that must be missing, null, empty or the name of a node.
Result<std::string> node_parameter(const Json& parameters, const std::string& key, const RedisSettings& settings) {
    const Json* value = find_member(parameters, key);
    if (!value) return std::string();
    const auto text = find_string(parameters, key);
    if (text && text->empty()) return std::string();
    if (text && settings.find_node(*text)) return *text;
    std::string names;
    for (const RedisNode& node : settings.nodes) names += (names.empty() ? "" : ", ") + node.name;
    return make_error(ErrorCode::kUsage, "'" + (text ? *text : dump_json(*value)) + "' is no Redis node",
                      "Name one of: " + names + ".");
}

Status check_keys(const Json& parameters, const std::vector<std::string>& allowed) {
    if (parameters.is_null()) return {};
    if (!parameters.is_object()) return make_error(ErrorCode::kUsage, "the parameters are no JSON object");
    for (const auto& item : parameters.items())
        if (std::find(allowed.begin(), allowed.end(), item.key()) == allowed.end())
            return make_error(ErrorCode::kUsage, "unknown parameter '" + item.key() + "'",
                              "This runbook knows: " + join(allowed, ", ") + ".");
    return {};
}

Result<engine::Runbook> failover(const Json& parameters, const ActingPointer& acting) {
    const ClusterPointer& cluster = acting->cluster;
    AETERNA_TRY(check_keys(parameters, {"old_primary", "assist"}));
    AETERNA_ASSIGN(const std::string old, node_parameter(parameters, "old_primary", cluster->settings()));
    AETERNA_ASSIGN(acting->assist, engine::assist_parameter(parameters));
    engine::Runbook runbook{"failover", "redis", "Let Sentinel replace a dead master, and prove the result", "failover", {}};
    auto& steps = runbook.steps;
    const bool is_acting = acting->assist != config::Assist::kOff;
    if (is_acting) {
        const bool is_asking = acting->assist == config::Assist::kPropose;
        runbook.purpose = is_asking ? "Propose to replace a dead master at once, let Sentinel do it meanwhile, and prove the result"
                                    : "Replace a dead master at once, and prove the result";
        steps.push_back(make_prove_death(acting, old));
        steps.push_back(make_fence_master(acting));
        steps.push_back(make_force_failover(acting));
        steps.push_back(make_promote_by_hand(acting));
    }
    steps.push_back(make_await_failover(cluster, old));
    steps.push_back(make_confirm_one_writer(cluster, is_acting ? acting : nullptr));
    if (is_acting) {
        steps.push_back(make_salvage(acting));
        steps.push_back(make_rejoin_old(acting));
        steps.push_back(make_teach_sentinels(acting));
    }
    steps.push_back(make_await_rejoin(cluster, acting));
    return runbook;
}

Result<engine::Runbook> switchover(const Json& parameters, const ClusterPointer& cluster) {
    AETERNA_TRY(check_keys(parameters, {"candidate"}));
    AETERNA_ASSIGN(const std::string candidate, node_parameter(parameters, "candidate", cluster->settings()));
    engine::Runbook runbook{"switchover", "redis", "Move the master role without losing a write", "switchover", {}};
    auto& steps = runbook.steps;
    steps.push_back(make_check_switchover(cluster, candidate));
    if (!candidate.empty()) {
        steps.push_back(make_prefer_candidate(cluster, candidate));
        steps.push_back(make_choose_moment(cluster, candidate));
    }
    steps.push_back(make_pause_writes(cluster));
    steps.push_back(make_await_catch_up(cluster, candidate));
    steps.push_back(make_promote(cluster, candidate));
    steps.push_back(make_demote_old(cluster));
    if (!candidate.empty()) steps.push_back(make_restore_priorities(cluster));
    steps.push_back(make_await_agreement(cluster, candidate));
    steps.push_back(make_confirm_one_writer(cluster));
    steps.push_back(make_await_rejoin(cluster));
    return runbook;
}

Result<engine::Runbook> reconcile(const Json& parameters, const ActingPointer& acting) {
    // `serve` gives every reaction an assist and, where it knows one, the master of the moment.
    AETERNA_TRY(check_keys(parameters, {"old_primary", "assist"}));
    engine::Runbook runbook{"reconcile", "redis", "End a division: one master that all Sentinels name and all replicas follow", "reconcile", {}};
    runbook.steps.push_back(make_choose_master(acting->cluster));
    runbook.steps.push_back(make_unite(acting));
    runbook.steps.push_back(make_confirm_one_writer(acting->cluster));
    return runbook;
}

}  // namespace

std::vector<engine::RunbookInfo> runbook_list() {
    return {{"failover", "see a dead master replaced (with assist: act at once), confirm one writer, bring the old one back as a replica"},
            {"switchover", "move the master role to a replica without losing a write"},
            {"reconcile", "end a lasting division: tell Sentinels, keep and demote a second master, turn astray replicas"}};
}

Result<engine::Runbook> build_runbook(const std::string& name, const Json& parameters, const ActingPointer& acting) {
    if (name == "failover") return failover(parameters, acting);
    if (name == "reconcile") return reconcile(parameters, acting);
    if (name == "switchover") return switchover(parameters, acting->cluster);
    return make_error(ErrorCode::kNotFound, "redis has no runbook '" + name + "'", "It has failover, switchover and reconcile.");
}

}  // namespace aeterna::redis
