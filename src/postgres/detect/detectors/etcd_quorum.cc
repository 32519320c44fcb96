// postgres.etcd_quorum: fewer than a majority of etcd's members know a leader. Patroni then demotes
// the primary (or keeps it in failsafe mode), and nobody can be promoted.
#include <fmt/core.h>

#include <algorithm>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

// A little more than one loop of an agent, and clocks differ.
constexpr std::int64_t kBeyondLoopSeconds = 5;

// When etcd is all silent from here, it may be our way to it that is cut: an agent that renewed its
// view of it within its last loop says so.
bool has_etcd_witness(const World& world) {
    const auto& members = *world.seen.etcd_health.value;
    const bool any = std::any_of(members.begin(), members.end(),
                                 [](const auto& member) { return member.answered; });
    if (any || world.seen.dcs.answer != Answer::kSilent) return false;
    const std::int64_t now =
        std::chrono::duration_cast<std::chrono::seconds>(world.wall_now.time_since_epoch()).count();
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& rest = world.of(node.name).rest.value;
        if (!rest || rest->cluster_unlocked || !rest->dcs_last_seen) continue;
        if (now - *rest->dcs_last_seen <= world.config().loop_wait + kBeyondLoopSeconds)
            return true;
    }
    return false;
}

}  // namespace

Verdict judge_etcd_quorum(const World& world) {
    // A linearizable read went through: that is the quorum.
    if (world.dcs()) return Verdict::clear();
    const auto& health = world.seen.etcd_health;
    if (!health.value || health.value->empty()) return Verdict::unknown();
    if (has_etcd_witness(world)) return Verdict::unknown();
    const auto& members = *health.value;
    const auto good = std::count_if(members.begin(), members.end(), [](const auto& member) {
        return member.answered && member.has_leader;
    });
    Verdict verdict;
    verdict.condition = static_cast<std::size_t>(good) * 2 <= members.size();
    if (!*verdict.condition) return verdict;
    verdict.summary =
        fmt::format("etcd has no quorum: {} of {} members know a leader", good, members.size());
    for (const auto& member : members) {
        if (member.answered && member.has_leader) continue;
        verdict.reasons.push_back(fmt::format("{}: {}", member.endpoint, member.reason));
    }
    return verdict;
}

}  // namespace aeterna::postgres
