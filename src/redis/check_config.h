// `config check` for Redis: asks the live servers whether a failover can work and whether we may do what we must.
#pragma once

#include <string>
#include <vector>

#include "engine/store.h"
#include "redis/client/cluster.h"

namespace aeterna::redis {

// Read-only.
[[nodiscard]] std::vector<engine::ConfigFinding> check_config(Cluster& cluster, const env::Context& context);

}  // namespace aeterna::redis
