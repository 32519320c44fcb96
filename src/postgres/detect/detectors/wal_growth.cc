// postgres.wal_growth: pg_wal is larger than its settings explain: something keeps it (a slot, an archiver that fails, a
// checkpoint that does not come), until the disk is full.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_wal_growth(const World& world, const NodeSettings& node) {
    const auto& look = world.of(node.name).wal;
    if (!look.value) return Verdict::unknown();
    const WalUpkeep& wal = *look.value;
    Verdict verdict;
    verdict.condition = wal.expected_bytes > 0 && wal.wal_bytes > wal.expected_bytes;
    if (!*verdict.condition) return verdict;
    verdict.reasons = {fmt::format("{} WAL: pg_wal has {} MiB, twice its settings is {} MiB", node.name, wal.wal_bytes >> 20,
                                   wal.expected_bytes >> 20)};
    verdict.summary = fmt::format("WAL piles up on '{}'", node.name);
    if (!wal.furthest_slot.empty()) {
        verdict.reasons.push_back(fmt::format("slot '{}' holds {} MiB", wal.furthest_slot, wal.held_bytes >> 20));
    }
    if (wal.archiver_fails) verdict.reasons.push_back("the archiver fails");
    return verdict;
}

}  // namespace aeterna::postgres
