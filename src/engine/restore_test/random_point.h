// A point of what can be restored, drawn evenly over time: the same seed over the same windows gives the same point. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/capture/backup.h"

namespace aeterna::engine {

struct RandomPoint {
    std::string to, timeline, series, cluster;  // as RestoreOrder has them
};

// Leaves what is of these; empty words mean any. kUsage for a timeline that is no number, kNotFound where nothing is left
// of windows that there were.
Status keep_windows(std::vector<RecoveryWindow>& windows, const RestoreOrder& order);

// A whole millisecond of any window; where no window has one, a backup as it is. kNotFound without any backup.
[[nodiscard]] Result<RandomPoint> draw_point(const std::vector<RecoveryWindow>& windows, std::uint64_t seed);

}  // namespace aeterna::engine
