#include "postgres/steps/loss.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/detect/explain_stuck.h"

namespace aeterna::postgres {

namespace {

using Lines = std::vector<std::string>;

bool refused(const Look& look) { return look.answer == Answer::kRefused; }
bool silent(const Look& look) { return look.answer == Answer::kSilent; }

std::string describe_vitals(const std::string& node, const hosts::Vitals& vitals) {
    if (vitals.is_gone()) return node + ": its host says that none of its processes is left";
    if (vitals.is_headless) {
        return fmt::format("{}: its host says that its main process is dead; {} orphan{} left", node, vitals.alive,
                           vitals.alive == 1 ? " is" : "s are");
    }
    if (vitals.is_all_stopped()) return node + ": its host says that all its processes are stopped";
    return fmt::format("{}: its host says that {} of its processes live", node, vitals.alive);
}

void refuse_by_keys(const World& world, const NodeSettings& old, Lines& lines) {
    const DcsView* dcs = world.dcs();
    if (!dcs) return;
    if (!dcs->has_config) lines.emplace_back("etcd keys: there is no readable Patroni configuration");
    for (const std::string& key : dcs->unreadable) lines.push_back("etcd keys: unreadable " + key);
    if (dcs->config.paused) lines.emplace_back("etcd keys: the cluster is paused");
    if (dcs->config.is_standby_cluster) lines.emplace_back("etcd keys: it is a standby cluster");
    if (dcs->failover) lines.emplace_back("etcd keys: a failover or switchover was asked for by hand");
    if (!dcs->config.synchronous_mode) return;
    if (!dcs->sync || dcs->sync->leader != old.member) {
        lines.push_back("etcd keys: the sync key does not belong to '" + old.member + "'");
    }
}

// A leader may hold no key, or another meaning of it, while failsafe mode is active; every member that answers
// must deny it.
void refuse_by_agents(const World& world, Lines& lines) {
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& rest = world.of(node.name).rest;
        if (!rest.value) continue;
        if (rest.value->failsafe_active) lines.push_back(node.agent + " REST: failsafe mode is active");
        if (rest.value->paused) lines.push_back(node.agent + " REST: the cluster is paused");
    }
}

void refuse_without_successor(const World& world, const NodeSettings& old, Lines& lines) {
    Lines hindrances;
    for (const NodeSettings& node : world.settings->nodes) {
        if (node.name == old.name) continue;
        std::string hindrance = takeover_hindrance(world, node);
        if (!world.of(node.name).rest.value) hindrance = "its agent does not answer";
        if (hindrance.empty()) return;
        hindrances.push_back("'" + node.name + "': " + hindrance);
    }
    lines.push_back(hindrances.empty() ? std::string("there is no other node")
                                       : "no node could take over: " + join(hindrances, "; "));
}

// Somebody has to change this before anything may be done.
Lines lasting_refusals(const World& world, const NodeSettings& old, const LossEvidence& evidence) {
    Lines lines = cluster_refusals(world, old);
    if (!evidence.cannot_fence.empty()) lines.push_back(evidence.cannot_fence);
    if (evidence.watchdog_armed) {
        lines.push_back("a hardware watchdog is armed on the host of '" + old.name + "': it will reset it");
    }
    return lines;
}

// What may be otherwise in a moment, without anybody's doing.
void add_passing_refusals(const World& world, const NodeSettings& old, Lines& lines) {
    if (!world.dcs()) lines.emplace_back("etcd keys: not readable from here, or etcd has no quorum");
    refuse_without_successor(world, old, lines);
}

// The replicas' own ears: an independent vantage on a silent primary.
struct Listeners {
    std::size_t deaf = 0;     // hear nothing of it any more
    std::size_t hearing = 0;  // heard it lately
};

Listeners ask_replicas(const World& world, const NodeSettings& old, const LossEvidence& evidence, Lines& reasons) {
    Listeners listeners;
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& sql = world.of(node.name).sql;
        if (node.name == old.name || !sql.value || !sql.value->in_recovery) continue;
        if (const auto quiet = sql.value->receiver_silent_seconds) {
            ++(*quiet >= to_seconds(kSilenceBeforeFence) ? listeners.deaf : listeners.hearing);
            reasons.push_back(fmt::format("{} WAL receiver: nothing heard for {:.1f} s", node.name, *quiet));
            continue;
        }
        // A server that crashed and is back in a second cuts its replicas off as well.
        const auto found = evidence.cut_for.find(node.name);
        const Duration cut_for = found == evidence.cut_for.end() ? Duration::zero() : found->second;
        if (cut_for >= kSilenceBeforeFence) ++listeners.deaf;
        reasons.push_back(fmt::format("{} WAL receiver: without a connection for {}", node.name,
                                      format_duration(cut_for)));
    }
    return listeners;
}

LossVerdict judge_silence(const World& world, const NodeSettings& old, const LossEvidence& evidence,
                          LossVerdict verdict) {
    if (evidence.silent_for < kSilenceBeforeFence) {
        verdict.reasons.push_back(fmt::format("silent for {} only: it may be a stall",
                                              format_duration(evidence.silent_for)));
        return verdict;
    }
    const Listeners listeners = ask_replicas(world, old, evidence, verdict.reasons);
    const bool is_stopped = evidence.host_answered && evidence.server.is_all_stopped();
    // A replica that still hears it proves that the silence is ours.
    const bool heard_by_none = listeners.hearing == 0 && listeners.deaf > 0;
    if (heard_by_none || (is_stopped && listeners.hearing == 0)) verdict.kind = LossKind::kLost;
    return verdict;
}

LossVerdict judge_living_agent(const World& world, const NodeSettings& old, const LossEvidence& evidence,
                               LossVerdict verdict) {
    const auto& rest = world.of(old.name).rest;
    verdict.reasons.push_back(old.agent + " REST: PostgreSQL is '" + rest.value->state + "'");
    if (rest.value->is_running()) {
        verdict.reasons.push_back("its sessions may still work: only a person can decide that");
        return verdict;
    }
    const bool has_tried = evidence.failed_starts >= 2;
    const bool is_long = evidence.starting_for >= kLongestRecovery ||
                         evidence.predicted_recovery_seconds > to_seconds(kLongestRecovery);
    // Seen at a full disk: it comes up, takes a row, dies again, and no single start counts as failed.
    const bool is_down_long = evidence.down_for >= kLongestRecovery;
    if (has_tried) verdict.reasons.push_back(fmt::format("{} starts in place have failed", evidence.failed_starts));
    if (is_long) {
        verdict.reasons.push_back(fmt::format("its recovery is predicted to take {:.0f} s and has taken {}",
                                              evidence.predicted_recovery_seconds,
                                              format_duration(evidence.starting_for)));
    }
    if (is_down_long) {
        verdict.reasons.push_back(fmt::format("it has been down for {}", format_duration(evidence.down_for)));
    }
    if (has_tried || is_long || is_down_long) verdict.kind = LossKind::kLost;
    else verdict.reasons.emplace_back("its agent starts it in place, which loses nothing");
    return verdict;
}

// Its PostgreSQL takes writes, but nobody renews its lease.
LossVerdict judge_lost_agent(const World& world, const NodeSettings& old, const LossEvidence& evidence) {
    LossVerdict verdict;
    const auto& rest = world.of(old.name).rest;
    const bool agent_is_gone = evidence.host_answered && evidence.agent.is_gone() && refused(rest);
    if (!agent_is_gone) {
        verdict.kind = LossKind::kNotNeeded;
        verdict.reasons.push_back(old.name + " SQL: it accepts writes");
        return verdict;
    }
    verdict.reasons = {describe_look(world, old.agent + " REST", rest), describe_vitals(old.agent, evidence.agent)};
    const std::optional<std::int64_t> left = world.dcs()->leader->remaining_seconds;
    verdict.reasons.push_back(left ? fmt::format("etcd: its lease ends in {} s, then a second writer is promoted", *left)
                                   : "etcd: how long its lease still lasts could not be read");
    // etcd that elects answers nobody, and gives every lease its whole time again: what is unknown is asked again.
    if (left && *left <= kAgentLossMarginSeconds) verdict.kind = LossKind::kLost;
    return verdict;
}

LossVerdict judge_evidence(const World& world, const NodeSettings& old, const LossEvidence& evidence) {
    const auto& sql = world.of(old.name).sql;
    const auto& rest = world.of(old.name).rest;
    if (sql.value && !sql.value->in_recovery) return judge_lost_agent(world, old, evidence);
    LossVerdict verdict;
    if (sql.value) {
        verdict.reasons.push_back(old.name + " SQL: it is in recovery and answers");
        return verdict;
    }
    verdict.reasons.push_back(describe_look(world, old.name + " SQL", sql));
    if (rest.value) return judge_living_agent(world, old, evidence, std::move(verdict));
    verdict.reasons.push_back(describe_look(world, old.agent + " REST", rest));
    if (!evidence.host_answered) {
        verdict.reasons.push_back("its host gave no answer about its processes");
        return verdict;
    }
    verdict.reasons.push_back(describe_vitals(old.agent, evidence.agent));
    verdict.reasons.push_back(describe_vitals(old.name, evidence.server));
    // Orphaned backends of a dead postmaster may still finish a commit: the fence ends them.
    const bool server_is_dead = evidence.server.is_gone() || evidence.server.is_headless;
    const bool is_dead = evidence.agent.is_gone() && server_is_dead && refused(sql) && refused(rest);
    if (is_dead) {
        verdict.kind = LossKind::kLost;
        return verdict;
    }
    // An agent that is busy with starts that fail answers nobody, and renews its lease all the while.
    const bool is_down_long = evidence.down_for >= kLongestRecovery;
    if (server_is_dead && refused(sql) && is_down_long) {
        verdict.reasons.push_back(fmt::format("PostgreSQL has been down for {}", format_duration(evidence.down_for)));
        verdict.kind = LossKind::kLost;
        return verdict;
    }
    if (silent(sql) && silent(rest)) return judge_silence(world, old, evidence, std::move(verdict));
    return verdict;
}

}  // namespace

std::vector<std::string> cluster_refusals(const World& world, const NodeSettings& old) {
    Lines lines;
    refuse_by_keys(world, old, lines);
    refuse_by_agents(world, lines);
    return lines;
}

std::vector<std::string> assist_refusals(const World& world, const NodeSettings& old, const LossEvidence& evidence) {
    Lines lines = lasting_refusals(world, old, evidence);
    add_passing_refusals(world, old, lines);
    return lines;
}

bool RefusalWatch::settles(const LossVerdict& verdict, MonoTime now) {
    const bool is_refused = verdict.kind == LossKind::kRefused;
    if (is_refused) last_ = now;
    if (!is_refused || verdict.may_pass) since_.reset();
    else if (!since_) since_ = now;
    switch (verdict.kind) {
        case LossKind::kWait: return false;
        case LossKind::kNotNeeded: return true;
        case LossKind::kRefused: return since_ && now - *since_ >= kRefusalStands;
        case LossKind::kLost: return !last_ || now - *last_ >= kCalmAfterRefusal;
    }
    return false;
}

LossVerdict judge_loss(const World& world, const NodeSettings& old, const LossEvidence& evidence) {
    if (world.primary && *world.primary != old.name) {
        return {LossKind::kNotNeeded, false, {*world.primary + " SQL: it accepts writes"}};
    }
    if (const DcsView* dcs = world.dcs(); dcs && world.key_holder != old.name) {
        return {LossKind::kNotNeeded, false, {"etcd: '" + old.name + "' does not hold the leader key any more"}};
    }
    Lines refusals = lasting_refusals(world, old, evidence);
    const bool may_pass = refusals.empty();
    add_passing_refusals(world, old, refusals);
    if (!refusals.empty()) return {LossKind::kRefused, may_pass, std::move(refusals)};
    return judge_evidence(world, old, evidence);
}

}  // namespace aeterna::postgres
