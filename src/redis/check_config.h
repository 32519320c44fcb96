// `config check` for Redis: asks the live servers whether a failover can work and whether we may do what we must.
#pragma once

#include <string>
#include <vector>

#include "engine/store.h"
#include "redis/client/cluster.h"

namespace aeterna::redis {

// Read-only: rights are asked for with ACL DRYRUN (Redis 7.0), nothing is executed.
[[nodiscard]] std::vector<engine::ConfigFinding> check_config(Cluster& cluster, const env::Context& context);

// The ACL lines for the data nodes and the Sentinels, as text for people.
[[nodiscard]] std::string least_privilege_text(const RedisSettings& settings);

}  // namespace aeterna::redis
