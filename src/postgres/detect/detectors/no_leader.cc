// postgres.no_leader: the leader key is absent or its lease has expired. Without etcd the agents
// are asked (cluster_unlocked); one that says "locked" is enough to clear.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

Verdict judge_by_agents(const World& world) {
    Verdict verdict = Verdict::unknown();
    for (const NodeSettings& node : world.settings->nodes) {
        const auto& rest = world.of(node.name).rest;
        if (!rest.value) continue;
        if (!rest.value->cluster_unlocked) return Verdict::clear();
        verdict.condition = true;
        verdict.summary = "nobody holds the leader key of '" + world.settings->scope + "'";
        verdict.reasons = {node.agent + " REST: the cluster is unlocked"};
    }
    return verdict;
}

}  // namespace

Verdict judge_leader_key(const World& world) {
    const DcsView* dcs = world.dcs();
    if (!dcs) return judge_by_agents(world);
    if (!world.key_holder.empty()) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "nobody holds the leader key of '" + world.settings->scope + "'";
    verdict.reasons = {dcs->leader ? "etcd: the lease of '" + dcs->leader->member + "' has expired"
                                   : "etcd: the leader key is absent"};
    return verdict;
}

}  // namespace aeterna::postgres
