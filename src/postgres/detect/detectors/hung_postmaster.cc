// postgres.hung_postmaster: the kernel accepts connections for it, but no new session ever answers,
// while Patroni still says "running" over the connection that it has open. Patroni does not act on
// this (patroni issue 1371).
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_hung_postmaster(const World& world, const NodeSettings& node) {
    const auto& connect = world.of(node.name).connect;
    const auto& rest = world.of(node.name).rest;
    if (connect.answer == Answer::kNever || connect.failed_once()) {
        return Verdict::unknown({describe_look(world, node.name + " connect", connect)});
    }
    const bool accepts = connect.value && connect.value->tcp_accepted;
    if (connect.answer != Answer::kSilent || !accepts) return Verdict::clear();
    if (!rest.value) return Verdict::clear({describe_look(world, node.agent + " REST", rest)});
    Verdict verdict;
    verdict.condition = rest.value->is_running();
    verdict.reasons = {describe_look(world, node.name + " connect", connect),
                       node.agent + " REST: PostgreSQL is '" + rest.value->state + "'"};
    if (*verdict.condition) {
        verdict.summary =
            "the postmaster of '" + node.name + "' accepts connections but never answers";
    }
    return verdict;
}

}  // namespace aeterna::postgres
