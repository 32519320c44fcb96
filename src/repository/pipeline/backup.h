// Back up a directory tree: one thread walks it and compares with the last backup, workers read, cut, hash, compress
// and encrypt, committers make packs durable, and the walker writes the manifest in path order. Everything waits for
// the slowest; memory does not grow with the tree.
#pragma once

#include <string>
#include <vector>

#include "repository/pipeline/progress.h"
#include "repository/repository.h"

namespace aeterna::repository {

struct BackupRequest {
    std::string from;
    Backup header;             // kind, store, name, node, versions, log range; the rest is filled in
    bool use_parent = true;    // compare with the last backup of the same kind and name
    bool trust_times = true;   // a file with the parent's size, times and inode is not read again
    unsigned workers = 2;
    ProgressCallback progress;  // called by the calling thread now and then
};

struct BackupResult {
    Backup backup;
    std::uint64_t known_files = 0;      // not read again
    std::vector<std::string> problems;  // what is not in the backup, or changed while it was read; the first hundred
    std::uint64_t problem_count = 0;
};

// The index is open. After an error nothing is in the catalog; packs that are durable serve the next attempt.
[[nodiscard]] Result<BackupResult> back_up_tree(Repository& repository, const BackupRequest& request,
                                                const env::Context& context);

}  // namespace aeterna::repository
