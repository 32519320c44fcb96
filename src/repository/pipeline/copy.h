// Copy: brings a repository to a second place, with the same key: objects never change, so those that are missing there
// are copied as they are, after each was opened. Begun again it goes on; later it brings what is new. The copy is a
// repository of its own: it is pruned by itself, and nothing that the first one loses is lost in it.
//
// Order: packs, index segments, logs, keys, catalog entries, the configuration; so that at any moment the copy lacks
// backups, never parts of them. What is damaged in the first place is not copied and told.
#pragma once

#include <string>
#include <vector>

#include "repository/pipeline/progress.h"
#include "repository/repository.h"

namespace aeterna::repository {

struct CopyRequest {
    unsigned workers = 2;
    ProgressCallback progress;  // called by the calling thread now and then; counts objects
};

struct CopyReport {
    std::uint64_t objects = 0, bytes = 0;  // that were copied
    std::uint64_t present = 0;             // objects that were there
    std::uint64_t own_keys = 0;            // of the copy alone: they open it as well
    std::vector<std::string> problems;     // what could not be copied; the first hundred
    std::uint64_t problem_count = 0;
};

// The index of `from` is open with a session for reading. kGuardRefused when `to` holds another repository.
[[nodiscard]] Result<CopyReport> copy_repository(Repository& from, Storage& to, const CopyRequest& request,
                                                 const env::Context& context);

}  // namespace aeterna::repository
