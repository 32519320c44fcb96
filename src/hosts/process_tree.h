// Descendants in a list of processes: pure.
#pragma once

#include <vector>

#include "env/processes.h"

namespace aeterna::hosts {

// `roots` and every descendant of them in `table` by parent links, parents before children, zombies left out.
// A root that is not in the table (or is another process with its pid) is left out with its children.
[[nodiscard]] std::vector<env::ProcessId> collect_descendants(const std::vector<env::ProcessId>& roots,
                                                              const std::vector<env::ProcessInfo>& table);

// The pids from `pid` up to the first process.
[[nodiscard]] std::vector<int> ancestors_of(int pid, const std::vector<env::ProcessInfo>& table);

}  // namespace aeterna::hosts
