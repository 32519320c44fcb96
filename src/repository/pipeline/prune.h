// Prune: forgets backups by a retention policy and takes away what no backup needs, beside running writers and readers.
//
// In this order, each step durable before the next, so that a crash anywhere leaves every backup whole:
// 1. forget: catalog entries that the policy does not keep;
// 2. mark what the rest needs; any damage there ends the prune;
// 3. packs older than the oldest live session that need less than half of their bytes: what is needed is copied;
// 4. index segments without the packs that go, then a garbage note, then the old segments are removed;
// 5. the catalog is read again: what was committed meanwhile and needs a pack that goes, brings it back (a writer looks
//    at the index after its commit, so one of the two sees the other);
// 6. packs are removed when no session is left that began before 4; until then the note remembers them;
// 7. logs are cut to what the kept backups need (log_retention.h).
#pragma once

#include <string>
#include <vector>

#include "repository/log_retention.h"
#include "repository/repository.h"
#include "repository/retention.h"

namespace aeterna::repository {

struct PruneRequest {
    RetentionPolicy policy;
    bool dry_run = false;  // only says what would be forgotten
};

struct PruneReport {
    std::vector<RetentionDecision> decisions;
    std::uint64_t removed_packs = 0, removed_bytes = 0;
    std::uint64_t waiting_packs = 0;  // no backup needs them, but a session may still read them
    std::uint64_t copied_bytes = 0;   // out of packs that were mostly unneeded
    std::uint64_t unknown_packs = 0;  // that no index named, left by interrupted work; removed too
    std::vector<LogDecision> logs;
    std::uint64_t removed_log_pieces = 0;
};

// The index is open. kLocked when another prune runs.
[[nodiscard]] Result<PruneReport> prune(Repository& repository, const PruneRequest& request,
                                        const env::Context& context);

}  // namespace aeterna::repository
