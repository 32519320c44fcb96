// The rules in the order in which they end the question: refusals first, then the proof, then
// whether it can be used.
#include "redis/steps/death_proof.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "redis/detect/silence.h"

namespace aeterna::redis {
namespace {

// Our own silence needs two tries, also where the Sentinels' pings prove the rest of the 5 s.
constexpr Duration kOwnSilence = std::chrono::milliseconds(1300);
constexpr std::int64_t kLinkSlackSeconds = 10;

using Kind = DeathVerdict::Kind;

DeathVerdict refused(std::string reason) { return {Kind::kRefused, "", {std::move(reason)}, {}}; }
DeathVerdict not_yet(std::string reason) { return {Kind::kNotYet, "", {std::move(reason)}, {}}; }

bool is_refused(const std::optional<Error>& error) {
    return error && error->code == ErrorCode::kConnectionRefused;
}

// The process spoke: it is there, whatever it says.
bool is_answer(const Error& error) {
    switch (error.code) {
        case ErrorCode::kAuthentication:
        case ErrorCode::kPermission:
        case ErrorCode::kProtocol:
        case ErrorCode::kServer:
        case ErrorCode::kUnavailable:
        case ErrorCode::kReadOnly: return true;
        default: return false;
    }
}

std::vector<const SentinelOpinion*> opinions_on_master(const DeathInput& input) {
    std::vector<const SentinelOpinion*> opinions;
    for (const SentinelAnswer& answer : input.sentinels)
        if (answer.opinion && answer.opinion->master.address == input.master.address)
            opinions.push_back(&*answer.opinion);
    return opinions;
}

// How long the Sentinels have had no pong; nothing when none that watches this master has had one.
std::optional<std::int64_t> youngest_pong_ms(const DeathInput& input) {
    std::optional<std::int64_t> youngest;
    for (const SentinelOpinion* opinion : opinions_on_master(input)) {
        if (!opinion->has_heard_master()) continue;
        youngest = std::min(youngest.value_or(opinion->master.last_ok_ping_ms),
                            opinion->master.last_ok_ping_ms);
    }
    return youngest;
}

std::vector<std::string> sentinel_vantages(const DeathInput& input, std::int64_t overdue_ms) {
    std::vector<std::string> reasons;
    for (const SentinelAnswer& answer : input.sentinels) {
        if (!answer.opinion || answer.opinion->master.address != input.master.address) continue;
        const MasterView& view = answer.opinion->master;
        if (view.is_down()) reasons.push_back(answer.sentinel + ": flags it as down");
        else if (view.last_ok_ping_ms > overdue_ms)
            reasons.push_back(fmt::format("{}: its last answered ping is {:.1f} s old",
                                          answer.sentinel,
                                          static_cast<double>(view.last_ok_ping_ms) / 1000.0));
        else if (view.has_flag("disconnected") && overdue_ms == kPingOverdueMs)
            reasons.push_back(answer.sentinel + ": lost its connection");
    }
    return reasons;
}

std::vector<std::string> replica_vantages(const DeathInput& input) {
    std::vector<std::string> reasons;
    for (const ReplicaAnswer& replica : input.replicas) {
        if (!replica.info || replica.info->is_master ||
            replica.info->follows != input.master.address)
            continue;
        if (!replica.info->is_link_up)
            reasons.push_back(replica.node->name + ": its replication link is down");
        else if (replica.info->last_io_seconds >= kQuietLinkSeconds)
            reasons.push_back(fmt::format("{}: its replication link is quiet for {} s",
                                          replica.node->name, replica.info->last_io_seconds));
    }
    return reasons;
}

// Refusals that hold whatever the master is like.
std::optional<DeathVerdict> refuse_by_others(const DeathInput& input) {
    bool is_any = false;
    for (const SentinelAnswer& answer : input.sentinels) is_any = is_any || answer.opinion;
    for (const ReplicaAnswer& replica : input.replicas) is_any = is_any || replica.info;
    if (!is_any) return refused("no Sentinel and no replica answers: it may be us who are cut off");
    for (const ReplicaAnswer& replica : input.replicas)
        if (replica.info && replica.info->is_master)
            return refused("'" + replica.node->name + "' says that it is master too");
    for (const SentinelAnswer& answer : input.sentinels) {
        if (!answer.opinion) continue;
        if (answer.opinion->is_tilt)
            return refused(answer.sentinel + " is in TILT mode: a clock jumped or a host stalled");
        if (answer.opinion->master.has_flag("failover_in_progress"))
            return refused(answer.sentinel + " is failing over already");
    }
    return std::nullopt;
}

std::optional<DeathVerdict> refuse_by_master(const DeathInput& input) {
    if (input.master_error && is_answer(*input.master_error))
        return refused("the master answers: " + one_line(input.master_error->to_string()));
    if (!input.master_info) return std::nullopt;
    if (input.master_info->is_loading)
        return refused("the master loads its data, and Sentinel counts that as alive");
    if (!input.master_info->is_master)
        return refused("'" + input.master.name + "' answers as a replica");
    if (proof_of_emptiness(input).empty()) return refused("the master answers");
    return std::nullopt;
}

std::optional<DeathVerdict> refuse_by_majority(const DeathInput& input, const std::string& form) {
    if (const std::string why = unseen_majority(input); !why.empty()) return refused(why);
    std::size_t answering = 0;
    for (const SentinelAnswer& answer : input.sentinels) answering += answer.opinion ? 1 : 0;
    if (answering < input.settings.majority() && form == "silent" && !input.is_fenceable)
        return refused(
            "the master is only silent, no majority of the Sentinels confirms it, and it cannot be "
            "fenced");
    return std::nullopt;
}

// What our own connection and the others say; the form of the proof, or what is missing.
DeathVerdict prove(const DeathInput& input) {
    if (const auto empty = proof_of_emptiness(input); !empty.empty())
        return {Kind::kProven, "empty", empty, {}};
    const bool is_dead = is_refused(input.master_error);
    const std::int64_t pong_ms = youngest_pong_ms(input).value_or(0);
    std::vector<std::string> seen = other_vantages(input);
    if (is_dead) {
        if (seen.empty())
            return not_yet("its port refuses us, but neither a Sentinel nor a replica has lost it");
        seen.insert(seen.begin(), "its port refuses our connections");
        return {Kind::kProven, "refused", std::move(seen), {}};
    }
    const bool is_long =
        input.silent_for >= kSilence ||
        (input.silent_for >= kOwnSilence && std::chrono::milliseconds(pong_ms) >= kSilence + kPingPeriod);
    if (!is_long) return not_yet("it is silent for " + format_duration(input.silent_for) + " only");
    for (const SentinelAnswer& answer : input.sentinels)
        if (answer.opinion && answer.opinion->master.address == input.master.address &&
            !answer.opinion->master.is_down() &&
            answer.opinion->master.last_ok_ping_ms <= kPingOverdueMs)
            return not_yet(answer.sentinel + " has an answer of it that is younger than ours");
    if (seen.empty())
        return not_yet("it is silent to us, but neither a Sentinel nor a replica has lost it");
    seen.insert(seen.begin(), "it does not answer us");
    return {Kind::kProven, "silent", std::move(seen), {}};
}

// For how long the master can have been gone: by the pings, else by the replica that lost it last.
std::int64_t gone_for_seconds(const DeathInput& input) {
    if (const auto pong = youngest_pong_ms(input)) return *pong / 1000;
    std::optional<std::int64_t> shortest;
    for (const ReplicaAnswer& replica : input.replicas)
        if (replica.info && !replica.info->is_master && replica.info->link_down_seconds >= 0)
            shortest = std::min(shortest.value_or(replica.info->link_down_seconds),
                                replica.info->link_down_seconds);
    return shortest.value_or(0);
}

// How long its link is down, or quiet: a cut path leaves it "up" for a minute. One that has not been up since REPLICAOF says -1 (tried on 7.0.15).
std::int64_t lost_for_seconds(const NodeInfo& info) {
    if (info.is_link_up) return std::max<std::int64_t>(0, info.last_io_seconds);
    return info.link_down_seconds < 0 ? std::numeric_limits<std::int64_t>::max() : info.link_down_seconds;
}

std::string who_has_the_known_history(const DeathInput& input) {
    for (const ReplicaAnswer& replica : input.replicas) {
        if (!input.known_history.empty() && replica.info && replica.info->replid == input.known_history) return replica.node->name;
    }
    return "";
}

}  // namespace

std::vector<std::string> proof_of_emptiness(const DeathInput& input) {
    if (!input.master_info) return {};
    std::vector<std::string> reasons;
    for (const ReplicaAnswer& replica : input.replicas) {
        // Who follows somebody else will not copy it, and its keys are of that one.
        if (!replica.info || replica.info->follows != input.master.address) continue;
        const std::string lost = lost_data(*input.master_info, *replica.info);
        if (lost.empty()) continue;
        const std::int64_t lost_for = replica.info->is_link_up ? -1 : replica.info->link_down_seconds;
        reasons.push_back(fmt::format("{}: still has {}{}", replica.node->name, lost,
                                      lost_for < 0 ? "" : fmt::format(", as it was {} s ago", lost_for)));
    }
    if (!reasons.empty())
        reasons.insert(reasons.begin(),
                       fmt::format("the master restarted {} s ago with less than they have: {} keys",
                                   input.master_info->uptime_seconds, input.master_info->keys));
    return reasons;
}

std::vector<std::string> other_vantages(const DeathInput& input) {
    std::vector<std::string> seen =
        sentinel_vantages(input, is_refused(input.master_error) ? kPingOverdueMs : 4999);
    const auto replicas = replica_vantages(input);
    seen.insert(seen.end(), replicas.begin(), replicas.end());
    return seen;
}

std::string why_unfit(const ReplicaAnswer& replica, const DeathInput& input) {
    if (!replica.info) return replica.error ? replica.error->to_string() : "it does not answer";
    const NodeInfo& info = *replica.info;
    if (info.is_master) return "it is a master";
    if (info.is_loading) return "it loads its data";
    if (info.is_syncing) return "it is in the middle of a full copy";
    if (info.replica_priority == 0) return "its replica-priority is 0";
    if (info.follows != input.master.address)
        return "it follows '" + (info.follows ? input.settings.name_of(*info.follows) : "") + "'";
    if (info.replid.empty() || info.replica_offset <= 0) return "it has no copy yet";
    if (input.master_info && info.replid == input.master_info->replid)
        return "it has taken the empty copy already";
    if (!input.lost_history.empty() && info.replid != input.lost_history)
        return "it does not have the history that the master has lost";
    // A link to an empty master says nothing.
    if (input.master_info || !input.lost_history.empty()) return "";
    // How long its link is lost does not always say it: one that was cut stays up until repl-timeout (60 s), and is lost from then on.
    if (const std::string who = who_has_the_known_history(input); !who.empty() && info.replid != input.known_history)
        return fmt::format("it has another history than the master wrote when it was heard last, and '{}' has that one", who);
    // What it lacks cannot be said: Sentinel may choose it later, we do not.
    if (!info.is_link_up && info.link_down_seconds < 0)
        return "its link has not been up since it was started or told to follow the master";
    const std::int64_t gone = gone_for_seconds(input);
    if (!info.is_link_up && info.link_down_seconds > gone + kLinkSlackSeconds)
        return fmt::format("its link was lost {} s ago, long before the master",
                           info.link_down_seconds);
    // A cut path leaves it "up" for repl-timeout (60 s).
    if (info.is_link_up && info.last_io_seconds > gone + kQuietLinkSeconds)
        return fmt::format("its link is quiet for {} s, since long before the master was lost", info.last_io_seconds);
    return "";
}

std::vector<const RedisNode*> fit_replicas(const DeathInput& input) {
    std::vector<const ReplicaAnswer*> fit;
    for (const ReplicaAnswer& replica : input.replicas)
        if (why_unfit(replica, input).empty()) fit.push_back(&replica);
    // Offsets of different histories say nothing about each other. Who heard the master last has its history; one that has
    // not copied it yet (it was a master itself a moment ago) still has its own.
    const auto last = std::min_element(fit.begin(), fit.end(), [](const ReplicaAnswer* a, const ReplicaAnswer* b) {
        const auto key = [](const NodeInfo& info) { return std::pair(lost_for_seconds(info), -info.replica_offset); };
        return key(*a->info) < key(*b->info);
    });
    if (last != fit.end()) {
        const std::string history = (*last)->info->replid;
        std::erase_if(fit, [&](const ReplicaAnswer* replica) { return replica->info->replid != history; });
    }
    std::stable_sort(fit.begin(), fit.end(), [](const ReplicaAnswer* a, const ReplicaAnswer* b) {
        return a->info->replica_offset > b->info->replica_offset;
    });
    std::vector<const RedisNode*> nodes;
    for (const ReplicaAnswer* replica : fit) nodes.push_back(replica->node);
    return nodes;
}

std::string unseen_majority(const DeathInput& input) {
    std::size_t answering = 0, dead = 0;
    for (const SentinelAnswer& answer : input.sentinels) {
        if (answer.opinion) ++answering;
        else if (is_refused(answer.error)) ++dead;
    }
    const std::size_t majority = input.settings.majority();
    if (answering >= majority || input.sentinels.size() - dead < majority) return "";
    return fmt::format("{} of {} Sentinels answer, and the others may act where we cannot see them", answering,
                       input.sentinels.size());
}

DeathVerdict judge_death(const DeathInput& input) {
    if (auto verdict = refuse_by_others(input)) return *verdict;
    if (auto verdict = refuse_by_master(input)) return *verdict;
    DeathVerdict verdict = prove(input);
    if (verdict.kind != Kind::kProven) return verdict;
    if (auto no = refuse_by_majority(input, verdict.form)) return *no;
    verdict.fit = fit_replicas(input);
    if (!verdict.fit.empty()) return verdict;
    std::string reasons;
    for (const ReplicaAnswer& replica : input.replicas)
        reasons += (reasons.empty() ? "" : "; ") + replica.node->name + ": " +
                   one_line(why_unfit(replica, input));
    return refused("no replica is fit to be promoted: " + reasons);
}

}  // namespace aeterna::redis
