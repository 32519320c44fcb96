// postgres.timeline_mismatch: a running replica follows another timeline than the primary's: it
// waits for a rewind that does not come, or it forked. A rejoin takes its time, so the condition
// must hold long.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_timeline(const World& world, const NodeSettings& node) {
    if (!world.primary) return Verdict::unknown({"SQL: no primary to compare with"});
    if (*world.primary == node.name) return Verdict::clear({"it is the primary"});
    if (!world.of(node.name).sql.value) {
        return Verdict::unknown(
            {describe_look(world, node.name + " SQL", world.of(node.name).sql)});
    }
    const auto own = world.timeline(node.name);
    const auto primary = world.timeline(*world.primary);
    if (!own || !primary) return Verdict::unknown({node.name + " SQL: timeline not known"});
    Verdict verdict;
    verdict.condition = *own != *primary;
    verdict.reasons = {fmt::format("{} SQL: timeline {}; {} SQL: timeline {}", node.name, *own,
                                   *world.primary, *primary)};
    if (*verdict.condition) {
        verdict.summary = fmt::format("replica '{}' follows timeline {} instead of {}", node.name,
                                      *own, *primary);
    }
    return verdict;
}

}  // namespace aeterna::postgres
