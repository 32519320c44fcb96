// How many look-ups of the last window found their key: what redis.cache_miss_100 judges, and the status and /metrics
// show. Pure.
#pragma once

#include "redis/detect/observations.h"

namespace aeterna::redis {

struct Lookups {
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    // Of all look-ups; nothing while there were none: 0 of 0 is no rate.
    [[nodiscard]] std::optional<double> miss_ratio() const {
        const std::int64_t all = hits + misses;
        return all > 0 ? std::optional<double>(static_cast<double>(misses) / static_cast<double>(all)) : std::nullopt;
    }
};

// Of all nodes over kLookupWindow; counters restart with the server, so only one run is compared. Nothing while no node
// is seen.
[[nodiscard]] std::optional<Lookups> lookups_in_window(const Snapshot& snapshot);

}  // namespace aeterna::redis
