// Whom to promote, and which Sentinel may be told to choose.
#pragma once

#include <vector>

#include "redis/steps/death_proof.h"

namespace aeterna::redis {

// The fit replicas that have as much as the fullest one. Those that are behind are made to follow
// it for a moment: they share its history, so that they only get what they miss. One that does not
// get there is left out.
[[nodiscard]] std::vector<const RedisNode*> level_replicas(Cluster& cluster,
                                                           const DeathInput& input,
                                                           const env::Context& context);

// The Sentinels that may be told: they watch this master, and every replica that they may choose (a moment later, too) is
// level. Those with a majority in sight first. Pure.
[[nodiscard]] std::vector<const RedisNode*> able_sentinels(
    const DeathInput& input, const std::vector<const RedisNode*>& level);

}  // namespace aeterna::redis
