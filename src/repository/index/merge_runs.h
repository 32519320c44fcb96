// All runs into one, in one pass with a window of rows from each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "repository/index/run_file.h"

namespace aeterna::repository {

// The new run at `path`; the old ones are left as they are. Of several rows of one entry one is kept, if possible not one
// that `is_worse`.
[[nodiscard]] Result<std::unique_ptr<RunFile>> merge_runs(env::FileTree& files,
                                                          const std::vector<std::shared_ptr<RunFile>>& runs,
                                                          const std::function<bool(const Location&)>& is_worse,
                                                          const std::string& path, const KeyedHash& hash);

}  // namespace aeterna::repository
