// Check: is everything there that the catalog promises? Structure: every pack that the index names, every entry that a
// backup refers to, the keys, and that each backup's log begins where it needs it. With read_percent also the bytes: each
// chosen pack is read whole, every entry opened and its content compared with its name; and every piece of every log.
//
// Damaged and missing entries are noted (index/damage.h): the next backup that has such a chunk stores it anew.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "repository/repository.h"

namespace aeterna::repository {

struct CheckRequest {
    unsigned read_percent = 0;  // of the packs, chosen at random; 100 reads all
};

struct CheckReport {
    std::uint64_t packs = 0, pack_bytes = 0, entries = 0, backups = 0;
    std::uint64_t packs_read = 0, bytes_read = 0;
    std::uint64_t logs = 0, noted_entries = 0;  // noted now
    std::uint64_t replaced_entries = 0;  // damaged as was known, and stored anew since
    std::uint64_t unused_packs = 0;     // no index segment names them: left by an interrupted backup, or being written
    std::vector<std::string> problems;  // what is wrong, one line each; the first thousand
    std::uint64_t problem_count = 0;
    std::set<std::string> hit_backups;  // cannot be restored completely
};

// The index is open. An error only when the check itself could not be done.
[[nodiscard]] Result<CheckReport> check_repository(Repository& repository, const CheckRequest& request,
                                                   const env::Context& context);

}  // namespace aeterna::repository
