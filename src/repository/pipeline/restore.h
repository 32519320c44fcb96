// Restore a backup into a directory. Large files are written by segments on all workers, each fetching its chunks in
// the order in which they lie in their packs; small ones by the calling thread in path order. Runs of zeros become
// holes. Everything is durable when it returns. What another state of the tree holds already, an interrupted restore's
// or an old one's, is recognised by content, page by page and chunk by chunk, and only the rest is fetched.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "repository/pipeline/progress.h"
#include "repository/repository.h"

namespace aeterna::repository {

struct RestoreRequest {
    Backup backup;
    std::string into;     // missing, empty, or left by an interrupted restore of the same purpose; else see `replaces`
    std::string purpose;  // what it is for, in one line; empty: the backup's id
    unsigned workers = 2;
    ProgressCallback progress;
    // `into` may hold another state of the tree, which is turned into the backup's: what the backup has not goes, and
    // so do `last` files at once. Whatever happens then, it is no longer what it was.
    bool replaces = false;
    std::string delta_from;  // a directory with another state of the tree, which is only read; empty: none
    // Directories of the backup that are made at another, absolute place, missing or empty: a link stands for them.
    std::map<std::string, std::string> elsewhere;
    std::set<std::string> omitted;  // files that are not written; "DIR/": none of those in it
    // Written in this order when everything else is durable, in place of what the backup has there: what makes the
    // directory usable comes last.
    struct LastFile {
        std::string path, content;
        std::uint32_t mode = 0600;
    };
    std::vector<LastFile> last;
    // Asked now and then, and before each of the last files; its error ends the restore.
    std::function<Status()> may_go_on;
};

struct RestoreResult {
    std::uint64_t files = 0, directories = 0, links = 0, bytes = 0;
    std::uint64_t kept_bytes = 0;  // were there already, or in `delta_from`, verified
};

// The index is open. kGuardRefused when `into` holds anything else, or somebody else has begun anew in it. After an error the directory is partial and says
// so by the marker file in it.
[[nodiscard]] Result<RestoreResult> restore_tree(Repository& repository, const RestoreRequest& request,
                                                 const env::Context& context);

// The content of a small file of the backup. kNotFound, kCorrupt; kUsage when it is larger than `limit_bytes`, or has
// pages.
[[nodiscard]] Result<std::string> read_small_file(Repository& repository, const Backup& backup, const std::string& path,
                                                  std::size_t limit_bytes, const env::Context& context);

// Lies in the directory until the restore is done.
inline constexpr const char* kRestoreMarker = ".aeterna-dr-restore";

// Whether the marker's text is of a restore of this purpose, over an old state or not.
[[nodiscard]] bool is_marker_of(const std::string& text, const std::string& purpose);
// kGuardRefused, with `hint`, where something is in it. A directory that is not there is empty, and so is one that has only
// what a restore left that was killed while it wrote its marker.
[[nodiscard]] Status check_target_empty(env::FileTree& tree, const std::string& directory, const std::string& hint);

}  // namespace aeterna::repository
