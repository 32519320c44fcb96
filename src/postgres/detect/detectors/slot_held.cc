// postgres.slot_held: a slot holds most of what the stack file allows ours to hold; soon the guard drops ours, and a stranger's
// fills the disk.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_slot_held(const World& world, const NodeSettings& node) {
    const auto& look = world.of(node.name).wal;
    if (!look.value) return Verdict::unknown();
    const auto limit = static_cast<std::int64_t>(world.settings->slot_limit / 4 * 3);
    Verdict verdict;
    verdict.condition = look.value->held_bytes > limit;
    if (!*verdict.condition) return verdict;
    verdict.reasons = {fmt::format("{} WAL: slot '{}' holds {} MiB (limit {} MiB)", node.name, look.value->furthest_slot,
                                   look.value->held_bytes >> 20, world.settings->slot_limit >> 20)};
    // The bytes stay in the reasons: a summary is what an incident is known by.
    verdict.summary = fmt::format("slot '{}' on '{}' holds more than three quarters of slot_limit",
                                  look.value->furthest_slot, node.name);
    return verdict;
}

}  // namespace aeterna::postgres
