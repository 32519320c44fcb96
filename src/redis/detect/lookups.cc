#include "redis/detect/lookups.h"

namespace aeterna::redis {

std::optional<Lookups> lookups_in_window(const Snapshot& snapshot) {
    std::optional<Lookups> found;
    for (const auto& [name, record] : snapshot.nodes) {
        if (!fresh_node(snapshot, name) || record.lookups.empty()) continue;
        if (!found) found.emplace();
        const LookupSample& last = record.lookups.back();
        for (const LookupSample& first : record.lookups) {
            if (first.run_id != last.run_id || snapshot.now - first.at > kLookupWindow) continue;
            if (last.hits >= first.hits && last.misses >= first.misses) {
                found->hits += last.hits - first.hits;
                found->misses += last.misses - first.misses;
            }
            break;
        }
    }
    return found;
}

}  // namespace aeterna::redis
