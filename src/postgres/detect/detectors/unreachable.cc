// postgres.unreachable: every server and agent is silent, but etcd sees the leader's lease run on.
// Said instead of "they are all down", which nothing here can tell from a cut way. When they really
// are, the lease ends, and postgres.primary_down takes over.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"
#include "postgres/detect/explain_stuck.h"

namespace aeterna::postgres {

Verdict judge_unreachable(const World& world) {
    if (!world.cut_off()) {
        for (const auto& [name, of] : world.seen.nodes) {
            if (of.sql.answer == Answer::kNever || of.sql.answer == Answer::kSilent) continue;
            return Verdict::clear();
        }
        return Verdict::unknown();
    }
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "no PostgreSQL node answers this watcher, which may be cut off from them";
    for (const NodeSettings& node : world.settings->nodes) {
        verdict.reasons.push_back(
            describe_look(world, node.name + " SQL", world.of(node.name).sql));
    }
    verdict.reasons.push_back(fmt::format("etcd: the lease of '{}' still has {}", world.key_holder,
                                          describe_remaining(*world.dcs()->leader)));
    return verdict;
}

}  // namespace aeterna::postgres
