// postgres.two_primaries: two nodes are out of recovery at the same time. Looks are half a second
// apart, so an overlap must be shown: each was seen writing after the other one's row of such
// answers had begun.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

namespace {

bool overlap(const NodeObservations& a, const NodeObservations& b) {
    return a.sql.started > b.primary_since && b.sql.started > a.primary_since;
}

}  // namespace

Verdict judge_two_primaries(const World& world) {
    bool any_sql = false;
    for (const auto& [name, of] : world.seen.nodes)
        any_sql = any_sql || of.sql.answer != Answer::kNever;
    if (!any_sql) return Verdict::unknown();
    Verdict verdict = Verdict::clear();
    for (const std::string& first : world.writers) {
        for (const std::string& second : world.writers) {
            if (first >= second || !overlap(world.of(first), world.of(second))) continue;
            verdict.condition = true;
            verdict.strong = true;
            verdict.summary = "'" + first + "' and '" + second + "' both accept writes";
            verdict.reasons = {first + " SQL: not in recovery", second + " SQL: not in recovery"};
            const std::string& holder = world.key_holder;
            verdict.reasons.push_back(holder.empty()
                                          ? "etcd: nobody holds the leader key"
                                          : "etcd: '" + holder + "' holds the leader key");
        }
    }
    return verdict;
}

}  // namespace aeterna::postgres
