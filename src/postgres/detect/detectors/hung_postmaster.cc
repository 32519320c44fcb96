// postgres.hung_postmaster: the kernel accepts connections for it, but no new session ever answers,
// while Patroni still says "running" over the connection that it has open. Patroni does not act on
// this (patroni issue 1371). A long hang fills the accept queue, and TCP falls silent too: while
// SQL is silent nothing is known but never clear, so that what has fired goes on.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_hung_postmaster(const World& world, const NodeSettings& node) {
    const auto& connect = world.of(node.name).connect;
    const auto& rest = world.of(node.name).rest;
    if (connect.answer == Answer::kNever || connect.failed_once()) return Verdict::unknown();
    const bool accepts = connect.value && connect.value->tcp_accepted;
    if (connect.answer != Answer::kSilent) return Verdict::clear();
    if (!accepts || !rest.value || !rest.value->is_running()) return Verdict::unknown();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "the postmaster of '" + node.name + "' accepts connections but never answers";
    verdict.reasons = {describe_look(world, node.name + " connect", connect),
                       node.agent + " REST: PostgreSQL is '" + rest.value->state + "'"};
    return verdict;
}

}  // namespace aeterna::postgres
