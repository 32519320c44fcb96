// postgres.agent_down: the primary takes writes, but its agent is dead: nobody renews the lease. When it ends, Patroni
// promotes another node and both take writes, until somebody stops the old one. Two refused connections prove it; an
// agent that is silent may only be slow. In a paused cluster somebody may have stopped it on purpose.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"
#include "postgres/detect/explain_stuck.h"

namespace aeterna::postgres {

Verdict judge_agent(const World& world, const NodeSettings& node) {
    if (world.primary != node.name) return Verdict::clear();
    const auto& rest = world.of(node.name).rest;
    if (rest.value) return Verdict::clear();
    if (!rest.refused_twice()) return Verdict::unknown();
    if (world.config().paused) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "the agent of the primary '" + node.name + "' is dead: nobody renews its lease";
    verdict.reasons = {describe_look(world, node.agent + " REST", rest), node.name + " SQL: it accepts writes"};
    const DcsView* dcs = world.dcs();
    if (dcs && dcs->leader && world.key_holder == node.name) {
        verdict.reasons.push_back(fmt::format("etcd: its lease ends in {}, then another node is promoted beside it",
                                              describe_remaining(*dcs->leader)));
    }
    return verdict;
}

}  // namespace aeterna::postgres
