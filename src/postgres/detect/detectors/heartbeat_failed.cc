// postgres.heartbeat_failed: the primary answers questions but takes no row: full disk, read-only
// transactions, no synchronous standby. Judged only with the standing approval 'heartbeat'.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_heartbeat(const World& world) {
    if (!world.settings->heartbeat_approved) return Verdict::clear();
    if (!world.primary) return Verdict::unknown();
    const auto& heartbeat = world.of(*world.primary).heartbeat;
    if (heartbeat.answer == Answer::kNever || heartbeat.failed_once()) return Verdict::unknown();
    if (heartbeat.value) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "primary '" + *world.primary + "' answers but accepts no write";
    verdict.reasons = {describe_look(world, *world.primary + " heartbeat", heartbeat)};
    return verdict;
}

}  // namespace aeterna::postgres
