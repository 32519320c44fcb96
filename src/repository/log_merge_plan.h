// Which pieces of a log become one. Pure.
//
// Sizes fall into levels: under 64 KiB, 512 KiB, 4 MiB, and those that stay as they are. Neighbours up to some level become
// one piece when together they are beyond it; or when a larger piece follows them, for then nothing can be added to them. So
// a byte is written again at most twice for each of the three levels, and once for each where pieces grow evenly.
#pragma once

#include <vector>

#include "repository/log_pieces.h"

namespace aeterna::repository {

// Neighbours that become one piece; two at least. Where the appended pieces turn out shorter than their distance, there is
// a gap, and each side of it becomes one.
using MergeGroup = std::vector<LogPiece>;

// `pieces`: in order, none inside a merged one. The last one is its writer's and left alone. `has_ended`: nothing will be
// appended any more, as if a larger piece followed.
[[nodiscard]] std::vector<MergeGroup> plan_merge(const std::vector<LogPiece>& pieces, bool has_ended);

}  // namespace aeterna::repository
