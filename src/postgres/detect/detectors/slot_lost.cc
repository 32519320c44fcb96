// postgres.slot_lost: the server has removed WAL that a slot held (max_slot_wal_keep_size): whoever follows by it cannot.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_slot_lost(const World& world, const NodeSettings& node) {
    const auto& look = world.of(node.name).wal;
    if (!look.value) return Verdict::unknown();
    if (look.value->lost_slots.empty()) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = fmt::format("slots on '{}' have lost their WAL: {}", node.name, look.value->lost_slots);
    verdict.reasons = {fmt::format("{} WAL: wal_status is 'lost'; what followed by it needs a new copy", node.name)};
    return verdict;
}

}  // namespace aeterna::postgres
