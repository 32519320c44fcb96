// Explaining a failover that does not happen; see explain_stuck.h.
#include "postgres/detect/explain_stuck.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

using Lines = std::vector<std::string>;

// What the old primary's member key said last. Once it starts again, it reports as received the end of the segment
// that it recovers from: megabytes that never were.
std::optional<std::int64_t> position_as_leader(const World& world) {
    const NodeObservations& of = world.of(world.reference);
    const bool restarts = (of.sql.value && of.sql.value->in_recovery) || (of.rest.value && !of.rest.value->is_running());
    const NodeSettings* settings = world.settings->find(world.reference);
    const DcsView* dcs = world.dcs();
    if (restarts || !settings || !dcs) return std::nullopt;
    const auto member = dcs->members.find(settings->member);
    const bool is_leaders = member != dcs->members.end() && member->second.is_running();
    return is_leaders ? member->second.location : std::nullopt;
}

std::optional<std::int64_t> position_of(const World& world, const std::string& node) {
    if (node == world.reference) return position_as_leader(world);
    const NodeObservations& of = world.of(node);
    if (of.sql.value && of.sql.value->in_recovery) {
        // Patroni compares what was received or replayed, whichever is further.
        return std::max(of.sql.value->received, of.sql.value->lsn);
    }
    if (of.rest.value && (of.rest.value->received || of.rest.value->replayed)) {
        return std::max(of.rest.value->received, of.rest.value->replayed);
    }
    const NodeSettings* settings = world.settings->find(node);
    const DcsView* dcs = world.dcs();
    if (!settings || !dcs) return std::nullopt;
    const auto member = dcs->members.find(settings->member);
    return member == dcs->members.end() ? std::nullopt : member->second.location;
}

void explain_etcd(const World& world, Lines& lines) {
    const Verdict quorum = judge_etcd_quorum(world);
    if (quorum.condition.value_or(false)) {
        lines.push_back(quorum.summary + ": nobody can be promoted without it");
    } else if (!world.dcs()) {
        lines.push_back("etcd cannot be read from here: " +
                        describe_look(world, "etcd keys", world.seen.dcs));
    }
}

void explain_agents(const World& world, Lines& lines) {
    if (world.config().paused)
        lines.push_back("the cluster is paused: Patroni promotes nobody until it is resumed");
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& rest = world.of(node.name).rest;
        if (rest.value && rest.value->failsafe_active) {
            lines.push_back("failsafe mode is active on '" + node.agent +
                            "': a legitimate leader may hold no key");
        }
    }
}

void explain_lease(const World& world, Lines& lines) {
    const DcsView* dcs = world.dcs();
    const std::string& holder = world.key_holder;
    if (!dcs || holder.empty()) return;
    const NodeSettings* node = world.settings->find(holder);
    const auto& rest = world.of(holder).rest;
    if (rest.value && !rest.value->is_running()) {
        lines.push_back(fmt::format(
            "'{}' still holds the leader key and its agent lives: Patroni tries to start "
            "PostgreSQL again in place for up to {} s (it is '{}')",
            holder, dcs->config.primary_start_timeout, rest.value->state));
    } else if (world.of(holder).sql.value && world.of(holder).sql.value->in_recovery) {
        lines.push_back("'" + holder + "' holds the leader key but is not promoted yet");
    } else if (rest.value) {
        lines.push_back("'" + (node ? node->agent : holder) +
                        "' says that its PostgreSQL runs and renews the lease");
    } else if (dcs->leader->remaining_seconds) {
        lines.push_back(fmt::format("the lease of the lost leader '{}' still has {} s of {} s",
                                    holder, *dcs->leader->remaining_seconds,
                                    dcs->leader->granted_seconds));
    } else {
        lines.push_back("the leader key of '" + holder +
                        "' is still there; its lease could not be read");
    }
}

}  // namespace

std::string takeover_hindrance(const World& world, const NodeSettings& node) {
    const NodeObservations& of = world.of(node.name);
    const DcsView* dcs = world.dcs();
    if (of.rest.answer != Answer::kNever && !of.rest.value) {
        return fmt::format("its agent does not answer ({})", answer_name(of.rest.answer));
    }
    if (of.rest.value && !of.rest.value->is_running())
        return "PostgreSQL is '" + of.rest.value->state + "'";
    if (dcs) {
        const auto member = dcs->members.find(node.member);
        if (member == dcs->members.end()) return "it is no member in etcd";
        if (member->second.nofailover) return "it has the tag nofailover";
        if (dcs->config.synchronous_mode && dcs->sync && !dcs->sync->leader.empty()) {
            const auto& allowed = dcs->sync->standbys;
            if (std::find(allowed.begin(), allowed.end(), node.member) == allowed.end()) {
                return "it is no synchronous standby";
            }
        }
    }
    const auto lag = candidate_lag(world, node.name);
    const std::int64_t limit = world.config().maximum_lag_on_failover;
    if (lag && *lag > limit) return fmt::format("it is {} bytes behind (limit {})", *lag, limit);
    return "";
}

namespace {

void explain_candidates(const World& world, Lines& lines) {
    const DcsView* dcs = world.dcs();
    if (dcs && dcs->config.synchronous_mode && dcs->sync && dcs->sync->standbys.empty()) {
        lines.push_back(
            "synchronous mode has no synchronous standby: only the old primary may lead again");
    }
    if (dcs && dcs->failover) {
        lines.push_back("a manual failover to '" + dcs->failover->candidate +
                        "' is pending in etcd");
    }
    Lines hindrances;
    std::size_t candidates = 0;
    for (const NodeSettings& node : world.settings->nodes) {
        if (node.name == world.reference) continue;
        ++candidates;
        const std::string hindrance = takeover_hindrance(world, node);
        if (!hindrance.empty()) hindrances.push_back("'" + node.name + "': " + hindrance);
    }
    if (candidates > 0 && hindrances.size() == candidates) {
        lines.push_back("no replica may take over: " + join(hindrances, "; "));
    } else {
        for (const std::string& hindrance : hindrances)
            lines.push_back("cannot take over: " + hindrance);
    }
}

}  // namespace

std::optional<std::int64_t> candidate_lag(const World& world, const std::string& node) {
    const DcsView* dcs = world.dcs();
    std::optional<std::int64_t> furthest = dcs ? dcs->last_leader_position : std::nullopt;  // Patroni's own measure
    for (const NodeSettings& other : world.settings->nodes)
        furthest = std::max(furthest, position_of(world, other.name));
    const auto own = position_of(world, node);
    if (!own || !furthest) return std::nullopt;
    return *furthest - *own;
}

std::vector<std::string> explain_stuck(const World& world) {
    Lines lines;
    if (world.primary) return lines;
    explain_etcd(world, lines);
    explain_agents(world, lines);
    explain_lease(world, lines);
    explain_candidates(world, lines);
    return lines;
}

std::string propose_next_step(const World& world) {
    if (judge_etcd_quorum(world).condition.value_or(false))
        return "restore etcd's quorum, then run failover again";
    if (world.config().paused)
        return "resume the cluster (patronictl resume), then run failover again";
    const NodeSettings* best = nullptr;
    for (const NodeSettings& node : world.settings->nodes) {
        if (node.name == world.reference || !takeover_hindrance(world, node).empty()) continue;
        if (!best || candidate_lag(world, node.name) < candidate_lag(world, best->name))
            best = &node;
    }
    const std::string old =
        world.reference.empty() ? "the old primary" : "'" + world.reference + "'";
    if (best) {
        return fmt::format(
            "make sure that {} cannot accept writes, then promote '{}' (aeterna-dr failover postgres "
            "--candidate {})",
            old, best->name, best->name);
    }
    return "bring " + old +
           " back: no other node may take over without a loss that somebody has to accept";
}

std::string describe_remaining(const LeaderKey& leader) {
    return leader.remaining_seconds ? fmt::format("{} s", *leader.remaining_seconds) : "an unknown time";
}

}  // namespace aeterna::postgres
