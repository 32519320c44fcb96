// Finding the master for a fault: Sentinel's word, confirmed by the node's own ROLE.
#include "redis/faults/fault_target.h"

namespace aeterna::redis {

Result<engine::FaultTarget> find_fault_target(Cluster& cluster, const env::Context& context) {
    AETERNA_ASSIGN(const RedisNode* master, cluster.majority_master_node(context));
    AETERNA_ASSIGN(const Role role, cluster.role(*master, context));
    if (!role.is_master())
        return make_error(ErrorCode::kUnavailable,
                          "the Sentinels name '" + master->name + "' as master, but it is a replica",
                          "Wait until the running failover has ended.");
    return engine::FaultTarget{master->name, {master->name}, {master->name}};
}

}  // namespace aeterna::redis
