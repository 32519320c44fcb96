// explain_stuck: why Sentinel has not failed over yet, from what the Sentinels and the old master say. Pure.
//
// The rules are Sentinel's own (redis 7.0 src/sentinel.c): down-after, quorum for o_down, majority of all known
// Sentinels to authorise, sentinelSelectSlave's conditions, 2 × failover-timeout between attempts, LOADING counts as
// alive, TILT suspends everything for 30 s.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "redis/client/cluster.h"

namespace aeterna::redis {

struct StuckCause {
    std::string word;      // down_after, quorum, majority, no_good_replica, retry_window, loading, tilt, alive, running
    std::string reason;    // one line, numbers included
    std::string proposal;  // what a person should do next
    bool resolves_itself = false;  // waiting helps
};

struct StuckInput {
    std::vector<SentinelAnswer> sentinels;  // all configured ones, asked now
    env::Endpoint old_master;
    std::optional<Error> master_error;      // what the old master said to us; nothing = it answers
    Duration waited{};                      // since we began to wait
};

// Most decisive first; never empty.
[[nodiscard]] std::vector<StuckCause> explain_stuck(const StuckInput& input, const RedisSettings& settings);

// Why one replica may not be promoted; empty when it may.
[[nodiscard]] std::string why_not_promotable(const ReplicaView& replica, const MasterView& master);
// Of these reasons one that does not go away while the Sentinel begins a failover; empty when there is none.
[[nodiscard]] std::string why_lastingly_unpromotable(const ReplicaView& replica, const MasterView& master);

}  // namespace aeterna::redis
