// postgres.sync_key_mismatch: in synchronous mode the sync key names another leader than the leader
// key, for longer than two of Patroni's loops. Patroni 3.0.2 never heals this after a stolen leader
// key, and everything else looks healthy: no standby is protected then.
#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_sync_key(const World& world) {
    const DcsView* dcs = world.dcs();
    if (!dcs) return Verdict::unknown({describe_look(world, "etcd keys", world.seen.dcs)});
    if (!dcs->config.synchronous_mode) return Verdict::clear({"etcd: synchronous mode is off"});
    if (!dcs->leader) return Verdict::unknown({"etcd: no leader key to compare with"});
    const std::string owner = dcs->sync ? dcs->sync->leader : "";
    Verdict verdict;
    verdict.condition = owner != dcs->leader->member;
    verdict.fire_after = std::chrono::seconds(2 * dcs->config.loop_wait);
    verdict.reasons = {"etcd: the sync key names '" + owner + "', the leader key '" +
                       dcs->leader->member + "'"};
    if (*verdict.condition) {
        verdict.summary = "the sync key belongs to '" + owner + "', not to the leader '" +
                          dcs->leader->member + "': no standby is protected";
    }
    return verdict;
}

}  // namespace aeterna::postgres
