// Division: the servers do not agree who is master, and Sentinel ends it never: it turns only the replicas that it knows, and of
// two configurations with the same epoch (both 0 after MONITOR) neither is the newer one. What is divided, and who should be
// the master, from one look at everybody.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "redis/client/cluster.h"

namespace aeterna::redis {

// What one data node said; nothing when it did not answer.
struct NodeLook {
    const RedisNode* node = nullptr;
    std::optional<NodeInfo> info;
};

struct Division {
    std::vector<std::string> lines;      // who differs, one line each; empty: all that answer agree
    std::string obstacle;                // why nobody may decide now; empty: `master` is set
    const RedisNode* master = nullptr;   // who should be it
    bool is_named = false;               // by a majority of the Sentinels
    bool is_master_away = false;         // the obstacle: whom they name does not answer, which is a failover's business
    std::vector<const RedisNode*> others;          // masters beside it
    std::vector<const RedisNode*> astray;          // replicas that follow another one
    std::vector<const RedisNode*> untold;          // Sentinels that answer and name another one, or none
    [[nodiscard]] bool operator==(const Division&) const = default;
};

// The master is whom a majority of the Sentinels names, as applications that ask them write there; but not where that one has
// next to nothing beside another master (docs/decisions/018), or says that it is none: then it is the master with most keys. An
// obstacle where too few answer, a failover is under way, a node loads its data, or the named one is away: all that ends otherwise. And
// where the choice would have next to nothing beside a replica that has to be turned, or, without a majority, one that a Sentinel names
// does not answer.
// Pure; pointers are into `settings`.
[[nodiscard]] Division judge_division(const RedisSettings& settings, const std::vector<SentinelAnswer>& sentinels,
                                      const std::vector<NodeLook>& nodes);

[[nodiscard]] Division look_at_division(Cluster& cluster, const env::Context& context);

}  // namespace aeterna::redis
