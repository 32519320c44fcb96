// postgres.sync_key_mismatch: in synchronous mode the sync key names another leader than the leader
// key, for longer than two of Patroni's loops. Patroni 3.0.2 never heals this after a stolen leader
// key, and everything else looks healthy: no standby is protected then.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_sync_key(const World& world) {
    const DcsView* dcs = world.dcs();
    if (!dcs) return Verdict::unknown();
    if (!dcs->config.synchronous_mode) return Verdict::clear();
    if (!dcs->leader) return Verdict::unknown();
    const std::string owner = dcs->sync ? dcs->sync->leader : "";
    Verdict verdict;
    verdict.condition = owner != dcs->leader->member;
    verdict.fire_after = std::chrono::seconds(2 * dcs->config.loop_wait);
    if (!*verdict.condition) return verdict;
    verdict.summary = "the sync key belongs to '" + owner + "', not to the leader '" +
                      dcs->leader->member + "': no standby is protected";
    verdict.reasons = {"etcd: the sync key names '" + owner + "', the leader key '" +
                       dcs->leader->member + "'"};
    return verdict;
}

}  // namespace aeterna::postgres
