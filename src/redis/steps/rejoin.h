// Bringing the old master back so that it never acknowledges a write as a master: its configuration
// names the new master before it may be started.
#pragma once

#include <string>
#include <string_view>

#include "redis/steps/assist.h"

namespace aeterna::redis {

// `config` with every replicaof/slaveof taken out and `replicaof` of the master at its end, where
// it outranks what an included file says. Everything else is kept byte for byte. Pure.
[[nodiscard]] std::string with_replicaof(std::string_view config, const env::Endpoint& master);

// Writes it into the node's configuration file, durable, old or new, with the owner that it had.
// kConfiguration when the file is unknown or not on this machine.
Status follow_at_start(Acting& acting, const RedisNode& old_master, const RedisNode& new_master);

// Takes this execution's fence away and starts the server. A start that another fence refuses is
// not our business: whoever holds it will start the server. Everything else is an error.
Status lift_and_start(Acting& acting, const RedisNode& node, engine::StepContext& step);

}  // namespace aeterna::redis
