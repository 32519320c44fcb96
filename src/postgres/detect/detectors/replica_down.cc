// postgres.replica_down: a node that is not the primary does not serve. As with the primary:
// refused twice and doubted by its agent is proof, silence must last.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_replica(const World& world, const NodeSettings& node) {
    if (world.reference.empty()) return Verdict::unknown();
    if (node.name == world.reference) return Verdict::clear();
    const auto& sql = world.of(node.name).sql;
    const auto& rest = world.of(node.name).rest;
    if (sql.value) return Verdict::clear();
    const bool is_judged = sql.answer != Answer::kNever && sql.answer != Answer::kRejected;
    if (!is_judged || world.cut_off()) return Verdict::unknown();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "replica '" + node.name + "' does not serve";
    verdict.reasons = {describe_look(world, node.name + " SQL", sql)};
    const bool agent_says_dead = rest.refused_twice() || (rest.value && !rest.value->is_running());
    verdict.reasons.push_back(rest.value
                                  ? node.agent + " REST: PostgreSQL is '" + rest.value->state + "'"
                                  : describe_look(world, node.agent + " REST", rest));
    // A restart is over in less; nobody has to act on a replica at once.
    verdict.strong = sql.refused_twice() && agent_says_dead && world.lasted(sql) >= 3s;
    return verdict;
}

}  // namespace aeterna::postgres
