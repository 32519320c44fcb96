// postgres.etcd_quorum: fewer than a majority of etcd's members know a leader. Patroni then demotes
// the primary (or keeps it in failsafe mode), and nobody can be promoted.
#include <fmt/core.h>

#include <algorithm>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_etcd_quorum(const World& world) {
    // A linearizable read went through: that is the quorum.
    if (world.dcs()) return Verdict::clear({"etcd: a linearizable read succeeded"});
    const auto& health = world.seen.etcd_health;
    if (!health.value || health.value->empty()) {
        return Verdict::unknown({describe_look(world, "etcd members", health)});
    }
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
