// What our users need at the Redis servers and at the Sentinels: the ACL lines as text for people, and the question to
// the live servers whether they are there. Both come from the same idea of what is done with them: watching (with
// confirming and drilling), acting, and promoting by hand.
#pragma once

#include <string>
#include <vector>

#include "engine/store.h"
#include "redis/client/cluster.h"

namespace aeterna::redis {

// One finding per server and use that is looked at. What `assist: act` needs is an error when it is missing there, else
// a warning: a user that may only watch is a choice. Asked for with ACL DRYRUN (Redis 7.0), nothing is executed.
[[nodiscard]] std::vector<engine::ConfigFinding> check_rights(Cluster& cluster, const RedisNode& server,
                                                              const env::Context& context);

// The ACL lines for the data nodes and the Sentinels.
[[nodiscard]] std::string least_privilege_text(const RedisSettings& settings);

}  // namespace aeterna::redis
