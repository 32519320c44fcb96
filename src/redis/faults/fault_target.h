// What a drill breaks: the node that the majority of the Sentinels names as master at this moment.
#pragma once

#include "engine/drill/drill_store.h"
#include "redis/client/cluster.h"

namespace aeterna::redis {

// The same for kill and pause. kUnavailable without a majority, or when that node does not say that it is master.
[[nodiscard]] Result<engine::FaultTarget> find_fault_target(Cluster& cluster, const env::Context& context);

}  // namespace aeterna::redis
