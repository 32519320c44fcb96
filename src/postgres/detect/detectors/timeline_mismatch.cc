// postgres.timeline_mismatch: a running replica follows another timeline than the primary's: it
// waits for a rewind that does not come, or it forked. A rejoin takes its time, so the condition
// must hold long.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_timeline(const World& world, const NodeSettings& node) {
    if (!world.primary) return Verdict::unknown();
    if (*world.primary == node.name) return Verdict::clear();
    if (!world.of(node.name).sql.value) return Verdict::unknown();
    const auto own = world.timeline(node.name);
    const auto primary = world.timeline(*world.primary);
    if (!own || !primary) return Verdict::unknown();
    Verdict verdict;
    verdict.condition = *own != *primary;
    if (!*verdict.condition) return verdict;
    verdict.summary =
        fmt::format("replica '{}' follows timeline {} instead of {}", node.name, *own, *primary);
    verdict.reasons = {fmt::format("{} SQL: timeline {}; {} SQL: timeline {}", node.name, *own,
                                   *world.primary, *primary)};
    return verdict;
}

}  // namespace aeterna::postgres
