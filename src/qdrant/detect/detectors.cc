#include "qdrant/detect/detectors.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::qdrant {
namespace {

using engine::Severity;

constexpr std::size_t kReasonLimit = 10;

}  // namespace

std::vector<engine::Finding> Detectors::update(const Seen& seen, const Verdict& verdict,
                                               const engine::JudgeContext& context) {
    findings_.clear();
    if (context.stalled) {
        for (auto& [key, memory] : memory_) {
            memory.hysteresis.restart();
            memory.spoken.restart();
        }
    }
    for (const auto& [name, node] : seen.nodes) judge_node(name, node, verdict, context);
    judge_cluster(seen, verdict, context);
    judge_metric(seen, verdict, context);
    return std::move(findings_);
}

void Detectors::judge(const Kind& kind, Evidence evidence, const engine::JudgeContext& context) {
    const engine::HysteresisSettings patient{std::max(kind.settings.fire_after, kSilence),
                                             kind.settings.clear_after};
    const auto [place, is_new] =
        memory_.try_emplace({std::string(kind.name), evidence.subject},
                            Memory{engine::Hysteresis(patient), engine::Hysteresis(kind.settings)});
    Memory& memory = place->second;
    const std::optional<bool> spoken =
        evidence.condition && evidence.is_silence ? std::optional(false) : evidence.condition;
    const bool is_proven =
        memory.spoken.update(spoken, context.now) == engine::FindingState::kFiring;
    const engine::FindingState state =
        evidence.is_strong || is_proven
            ? memory.hysteresis.update_strong(evidence.condition, context.now)
            : memory.hysteresis.update(evidence.condition, context.now);
    if (is_new || state != memory.state) memory.since = context.wall_now;
    memory.state = state;
    if (evidence.reasons.size() > kReasonLimit) evidence.reasons.resize(kReasonLimit);
    findings_.push_back({std::string(kind.name), "qdrant", std::move(evidence.subject),
                         kind.severity, state, std::move(evidence.summary),
                         std::move(evidence.reasons), memory.since});
}

void Detectors::judge_node(const std::string& name, const NodeSeen& node, const Verdict& verdict,
                           const engine::JudgeContext& context) {
    const Answer answer = verdict.answers.at(name);
    const bool is_known = answer != Answer::kNever;
    const bool anybody_serves =
        std::any_of(verdict.answers.begin(), verdict.answers.end(),
                    [](const auto& entry) { return entry.second == Answer::kServing; });
    const std::string reason = fmt::format(
        "{} API: {}", name, node.api.answer == answer ? node.api.detail : "no fresh answer");
    Evidence unavailable{name, std::nullopt, false, name + " answers 503 Service Unavailable", {}};
    // A node that is not there at all does not answer 503: that is node_down's.
    if (is_known) unavailable.condition = answer == Answer::kUnavailable;
    if (answer == Answer::kUnavailable) {
        unavailable.reasons = {node.api.answer == answer
                                   ? reason
                                   : fmt::format("{} API: {}", name, node.collections.error)};
    }
    judge({"qdrant.api_unavailable",
           anybody_serves ? Severity::kDegraded : Severity::kCritical,
           {1s, 3s}},
          std::move(unavailable), context);

    Evidence down{name, std::nullopt, answer == Answer::kRefused, name + " does not answer", {}};
    down.is_silence = answer == Answer::kSilent;
    if (is_known) down.condition = !is_alive(answer);
    if (down.condition.value_or(false)) down.reasons = {reason};
    judge(
        {"qdrant.node_down", anybody_serves ? Severity::kDegraded : Severity::kCritical, {2s, 1s}},
        std::move(down), context);

    judge_consensus(name, node, answer, context);
    judge_replicas(name, verdict, context);
}

void Detectors::judge_consensus(const std::string& name, const NodeSeen& node, Answer answer,
                                const engine::JudgeContext& context) {
    Evidence stopped{name, std::nullopt, false, name + "'s consensus thread has stopped", {}};
    if (answer == Answer::kServing && node.api.cluster) {
        const ClusterInfo& cluster = *node.api.cluster;
        stopped.condition = cluster.enabled && cluster.consensus != "working";
        if (*stopped.condition) {
            stopped.reasons = {fmt::format("{} /cluster: {} {}", name, cluster.consensus,
                                           cluster.consensus_error)};
        }
    }
    judge({"qdrant.consensus_stopped", Severity::kDegraded, {1s, 3s}}, std::move(stopped), context);
}

void Detectors::judge_replicas(const std::string& name, const Verdict& verdict,
                               const engine::JudgeContext& context) {
    Evidence dead{name, std::nullopt, false, "", {}};
    std::size_t count = 0;
    for (const ReplicaSeen& replica : verdict.replicas) {
        if (replica.node != name || replica.state != "Dead") continue;
        ++count;
        dead.reasons.push_back(fmt::format("/collections/{}/cluster: shard {} on {} is Dead",
                                           replica.collection, replica.shard, name));
    }
    if (verdict.color) dead.condition = count > 0;
    dead.summary = fmt::format("{} holds {} dead replica{}", name, count, count == 1 ? "" : "s");
    judge({"qdrant.replica_dead", Severity::kDegraded, {2s, 2s}}, std::move(dead), context);
}

void Detectors::judge_cluster(const Seen& seen, const Verdict& verdict,
                              const engine::JudgeContext& context) {
    Evidence red{
        std::string(kClusterSubject), std::nullopt, false, "the cluster status is Red", {}};
    if (verdict.color) red.condition = *verdict.color == Color::kRed;
    red.is_silence = verdict.is_red_by_silence;
    if (red.condition.value_or(false)) red.reasons = verdict.reasons;
    judge({"qdrant.cluster_red", Severity::kCritical, {1s, 3s}}, std::move(red), context);

    Evidence leaderless{
        std::string(kClusterSubject), std::nullopt, false, "no node knows a raft leader", {}};
    std::size_t views = 0, without = 0;
    for (const auto& [name, node] : seen.nodes) {
        if (verdict.answers.at(name) != Answer::kServing || !node.api.cluster ||
            !node.api.cluster->enabled)
            continue;
        ++views;
        if (node.api.cluster->leader != 0) continue;
        ++without;
        leaderless.reasons.push_back(
            fmt::format("{} /cluster: {}, no leader", name, node.api.cluster->role));
    }
    if (views > 0) leaderless.condition = without == views;
    // An election takes 2 to 4 s (facts §3): only what outlasts it is a fault.
    judge({"qdrant.consensus_stopped", Severity::kCritical, {6s, 3s}}, std::move(leaderless),
          context);
}

void Detectors::judge_metric(const Seen& seen, const Verdict& verdict,
                             const engine::JudgeContext& context) {
    Evidence other{std::string(kClusterSubject), std::nullopt, false, "", {}};
    const bool is_fresh =
        seen.metric && seen.metric->status && context.now - seen.metric->at <= kMetricFresh;
    if (is_fresh && verdict.color) {
        const std::string_view computed = color_name(*verdict.color);
        other.condition = *seen.metric->status != computed;
        other.summary =
            fmt::format("prometheus says '{}', the nodes say '{}'", *seen.metric->status, computed);
        other.reasons = {
            fmt::format("prometheus: aeterna_qdrant_cluster_status is '{}'", *seen.metric->status),
            fmt::format("qdrant: {}",
                        verdict.reasons.empty() ? "all well" : verdict.reasons.front())};
    }
    judge({"qdrant.metric_mismatch", Severity::kInfo, {30s, 5s}}, std::move(other), context);
}

}  // namespace aeterna::qdrant
