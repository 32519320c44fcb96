// Retention: which backups are kept. Pure. A series is what has one kind, store and name; each series is judged by
// itself. The newest restorable backup of a series is always kept: the last way back is never pruned. A damaged backup
// takes no other one's place.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "repository/catalog.h"

namespace aeterna::repository {

struct RetentionPolicy {
    unsigned last = 0;                                    // the newest so many
    unsigned hourly = 0, daily = 0, weekly = 0, monthly = 0;  // the newest of each of the last so many (UTC) that have one
    Duration within{};                                    // everything that is not older

    // Nothing is asked for: everything is kept.
    [[nodiscard]] bool is_empty() const {
        return last + hourly + daily + weekly + monthly == 0 && within == Duration::zero();
    }
};

struct RetentionDecision {
    std::string backup;
    bool is_kept = true;
    std::string reason;  // "daily 2026-11-26, last", "no rule keeps it"
};

// In the order of `backups`; `damaged` are the ids of those that cannot be restored whole.
[[nodiscard]] std::vector<RetentionDecision> decide_retention(const std::vector<Backup>& backups,
                                                              const RetentionPolicy& policy, WallTime now,
                                                              const std::set<std::string>& damaged = {});

}  // namespace aeterna::repository
