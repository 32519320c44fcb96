// Which steps make a failover and a switchover.
#include "redis/runbooks.h"

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

Status check_keys(const Json& parameters, const std::string& allowed) {
    if (parameters.is_null()) return {};
    if (!parameters.is_object()) return make_error(ErrorCode::kUsage, "the parameters are no JSON object");
    for (const auto& item : parameters.items())
        if (item.key() != allowed && !(allowed == "old_primary" && item.key() == "assist"))
            return make_error(ErrorCode::kUsage, "unknown parameter '" + item.key() + "'",
                              "This runbook knows '" + allowed + "'.");
    return {};
}

Result<engine::Runbook> failover(const Json& parameters, const ClusterPointer& cluster) {
    AETERNA_TRY(check_keys(parameters, "old_primary"));
    AETERNA_ASSIGN(const std::string old, node_parameter(parameters, "old_primary", cluster->settings()));
    engine::Runbook runbook{"failover", "redis", "Let Sentinel replace a dead master, and prove the result", "failover", {}};
    runbook.steps.push_back(make_await_failover(cluster, old));
    runbook.steps.push_back(make_confirm_one_writer(cluster));
    runbook.steps.push_back(make_await_rejoin(cluster));
    return runbook;
}

Result<engine::Runbook> switchover(const Json& parameters, const ClusterPointer& cluster) {
    AETERNA_TRY(check_keys(parameters, "candidate"));
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

}  // namespace

std::vector<engine::RunbookInfo> runbook_list() {
    return {{"failover", "wait for Sentinel to replace a dead master, confirm one writer, watch the old one rejoin"},
            {"switchover", "move the master role to a replica without losing a write"}};
}

Result<engine::Runbook> build_runbook(const std::string& name, const Json& parameters, const ClusterPointer& cluster) {
    if (name == "failover") return failover(parameters, cluster);
    if (name == "switchover") return switchover(parameters, cluster);
    return make_error(ErrorCode::kNotFound, "redis has no runbook '" + name + "'", "It has failover and switchover.");
}

}  // namespace aeterna::redis
