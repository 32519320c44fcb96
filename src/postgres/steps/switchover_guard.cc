// The guard of planned switchovers.
#include "postgres/steps/switchover_guard.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace aeterna::postgres {

namespace {

using Lines = std::vector<std::string>;

// Patroni itself waits for the candidate to receive the shutdown checkpoint; more than this takes
// too long.
constexpr std::int64_t kMaximumLagBytes = 1 << 20;

void check_cluster(const World& world, Lines& lines) {
    if (world.writers.size() > 1) lines.emplace_back("more than one node accepts writes");
    if (!world.primary) {
        lines.emplace_back("no node accepts writes: use failover");
        return;
    }
    const DcsView* dcs = world.dcs();
    if (!dcs) {
        if (world.settings->etcd) lines.emplace_back("etcd cannot be read");
        return;
    }
    const std::string& holder = world.key_holder;
    if (holder != *world.primary) {
        lines.push_back("the leader key is held by '" + holder + "', but '" + *world.primary +
                        "' accepts writes");
    }
    if (dcs->config.paused) lines.emplace_back("the cluster is paused");
    if (dcs->failover) {
        lines.push_back("another failover or switchover is pending (to '" +
                        dcs->failover->candidate + "')");
    }
    if (dcs->config.synchronous_mode && (!dcs->sync || dcs->sync->leader != dcs->leader->member)) {
        lines.emplace_back("the sync key does not belong to the leader: no standby is protected");
    }
}

void check_candidate(const World& world, const std::string& candidate, Lines& lines) {
    const NodeSettings* node = world.settings->find(candidate);
    const std::string name = "'" + candidate + "'";
    if (!node) {
        lines.push_back(name + " is no node of this stack");
        return;
    }
    if (world.primary == candidate) {
        lines.push_back(name + " is the primary already");
        return;
    }
    const NodeObservations& of = world.of(candidate);
    if (!of.rest.value) {
        lines.push_back(describe_look(world, node->agent + " REST", of.rest));
    } else if (!of.rest.value->is_running()) {
        lines.push_back(name + " is '" + of.rest.value->state + "'");
    }
    if (!world.is_streaming(candidate)) lines.push_back(name + " does not stream from the primary");
    const auto lag = world.lag_bytes(candidate);
    const std::int64_t limit = std::min(kMaximumLagBytes, world.config().maximum_lag_on_failover);
    if (!lag) lines.push_back(name + ": its lag is not known");
    if (lag && *lag > limit)
        lines.push_back(fmt::format("{} is {} bytes behind (limit {})", name, *lag, limit));
    const auto own = world.timeline(candidate);
    const auto primary = world.primary ? world.timeline(*world.primary) : std::nullopt;
    if (own && primary && *own != *primary) {
        lines.push_back(fmt::format("{} follows timeline {} instead of {}", name, *own, *primary));
    }
    const DcsView* dcs = world.dcs();
    if (!dcs) return;
    const auto member = dcs->members.find(node->member);
    if (member != dcs->members.end() && member->second.nofailover)
        lines.push_back(name + " has the tag nofailover");
    if (dcs->config.synchronous_mode) {
        const auto standbys = world.sync_standbys();
        if (std::find(standbys.begin(), standbys.end(), candidate) == standbys.end()) {
            lines.push_back(name + " is no synchronous standby");
        }
    }
}

}  // namespace

std::vector<std::string> switchover_hindrances(const World& world, const std::string& candidate) {
    Lines lines;
    check_cluster(world, lines);
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& rest = world.of(node.name).rest;
        if (rest.value && rest.value->failsafe_active) {
            lines.push_back("failsafe mode is active on '" + node.agent + "'");
        }
    }
    if (candidate.empty()) {
        lines.emplace_back("there is no other node to switch to");
    } else if (world.primary) {
        check_candidate(world, candidate, lines);
    }
    return lines;
}

std::string choose_candidate(const World& world) {
    std::string best;
    std::pair<std::size_t, std::int64_t> best_rank;
    for (const NodeSettings& node : world.settings->nodes) {
        if (world.primary == node.name) continue;
        const std::pair<std::size_t, std::int64_t> rank{
            switchover_hindrances(world, node.name).size(),
            world.lag_bytes(node.name).value_or(std::numeric_limits<std::int64_t>::max())};
        if (best.empty() || rank < best_rank) {
            best = node.name;
            best_rank = rank;
        }
    }
    return best;
}

}  // namespace aeterna::postgres
