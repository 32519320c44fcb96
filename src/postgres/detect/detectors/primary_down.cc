// postgres.primary_down: the node that should take writes does not, and no other one does.
// Proven (fires at once): two refused SQL connections, and the agent beside it refused twice, or
// says that its PostgreSQL does not run, or the leader key is not this node's any more. Silence
// must last kSilence and needs a second vantage; one vantage alone may be our own path to it. So
// may be the silence of all nodes at once while etcd sees the leader's lease run on.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

// What speaks against the node beside its own SQL port.
struct SecondVantage {
    bool proves_death = false;
    bool doubts = false;
};

SecondVantage ask_others(const World& world, const NodeSettings& node,
                         std::vector<std::string>& reasons) {
    SecondVantage second;
    const auto& rest = world.of(node.name).rest;
    if (rest.value && !rest.value->is_running()) {
        second.proves_death = true;
        reasons.push_back(node.agent + " REST: PostgreSQL is '" + rest.value->state + "'");
    } else if (rest.answer != Answer::kNever && !rest.value) {
        second.proves_death = rest.refused_twice();
        second.doubts = true;
        reasons.push_back(describe_look(world, node.agent + " REST", rest));
    }
    if (world.dcs() && world.key_holder != node.name) {
        const std::string& holder = world.key_holder;
        second.proves_death = true;
        reasons.push_back(holder.empty() ? "etcd: the leader key is gone"
                                         : "etcd: the leader key is held by '" + holder + "'");
    }
    if (world.client_path_fails()) {
        second.doubts = true;
        reasons.push_back(world.seen.client.value
                              ? "client path: it ends at a replica"
                              : describe_look(world, "client path", world.seen.client));
    }
    second.doubts = second.doubts || second.proves_death;
    return second;
}

// A handover on its way stops the old primary for a moment: Patroni's failover key tells, and after
// it is cleared a living node that has the leader key already and is about to be promoted.
bool is_handed_over(const World& world, const NodeSettings& node) {
    const DcsView* dcs = world.dcs();
    if (!dcs) return false;
    if (dcs->failover && dcs->failover->leader == node.member) return true;
    const std::string& holder = world.key_holder;
    return !holder.empty() && holder != node.name && world.of(holder).sql.answered();
}

}  // namespace

Verdict judge_primary(const World& world, const NodeSettings& node) {
    if (world.primary) return Verdict::clear();
    if (world.writers.size() > 1) return Verdict::clear();
    // Nobody is known to have been the primary: that is no news of its health.
    if (world.reference.empty()) return Verdict::unknown();
    if (world.reference != node.name) return Verdict::clear();
    const auto& sql = world.of(node.name).sql;
    if (sql.answer == Answer::kNever) return Verdict::unknown();
    Verdict verdict;
    verdict.summary = "primary '" + node.name + "' is down and no other node accepts writes";
    if (sql.value) {
        verdict.condition = true;
        verdict.summary = "no node accepts writes: '" + node.name + "' is in recovery";
        verdict.reasons = {node.name + " SQL: it is in recovery"};
        return verdict;
    }
    if (!world.client_writer().empty()) return Verdict::clear();
    if (world.cut_off()) return Verdict::unknown();
    verdict.reasons.push_back(describe_look(world, node.name + " SQL", sql));
    const SecondVantage second = ask_others(world, node, verdict.reasons);
    if (!second.doubts) return Verdict::unknown();
    verdict.condition = true;
    const bool long_silence = sql.answer != Answer::kRejected && world.lasted(sql) >= kSilence;
    const bool proven = sql.refused_twice() && second.proves_death && !is_handed_over(world, node);
    verdict.strong = proven || long_silence;
    return verdict;
}

}  // namespace aeterna::postgres
