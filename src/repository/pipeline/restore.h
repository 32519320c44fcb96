// Restore a backup into a directory. Large files are written by segments on all workers, each fetching its chunks in
// the order in which they lie in their packs; small ones by the calling thread in path order. Runs of zeros become
// holes. Everything is durable when it returns. Interrupted and begun again, it keeps every segment that is there.
#pragma once

#include <string>

#include "repository/pipeline/progress.h"
#include "repository/repository.h"

namespace aeterna::repository {

struct RestoreRequest {
    Backup backup;
    std::string into;  // missing, empty, or left by an interrupted restore of the same backup
    unsigned workers = 2;
    ProgressCallback progress;
};

struct RestoreResult {
    std::uint64_t files = 0, directories = 0, links = 0, bytes = 0;
    std::uint64_t kept_bytes = 0;  // were there already, verified
};

// The index is open. kGuardRefused when `into` holds anything else. After an error the directory is partial and says
// so by the marker file in it.
[[nodiscard]] Result<RestoreResult> restore_tree(Repository& repository, const RestoreRequest& request,
                                                 const env::Context& context);

// Lies in the directory until the restore is done.
inline constexpr std::string_view kRestoreMarker = ".aeterna-dr-restore";

}  // namespace aeterna::repository
