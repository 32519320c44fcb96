// postgres.slot_unprotected: Patroni does not know the slot that capture holds WAL by, and will drop it.
#include "postgres/capture/slot_protection.h"
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_slot_protection(const World& world) {
    const DcsView* dcs = world.dcs();
    if (!dcs || !dcs->has_config) return Verdict::unknown();
    if (protects_slot(dcs->config.document, world.settings->slot)) return Verdict::clear();
    Verdict verdict;
    verdict.condition = true;
    verdict.summary = "Patroni will drop the slot '" + world.settings->slot + "'";
    verdict.reasons = {"etcd: neither ignore_slots nor slots names it; " + protection_hint(world.settings->slot)};
    return verdict;
}

}  // namespace aeterna::postgres
