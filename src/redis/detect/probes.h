// The probes: one per Redis node (INFO and ROLE), one per Sentinel (its opinion), one listener per Sentinel (events).
// They observe and post; judgement stays in the detectors. Each keeps its connection between runs.
#pragma once

#include <memory>
#include <vector>

#include "engine/detect/monitor.h"
#include "redis/detect/board.h"

namespace aeterna::redis {

// `board` and `env` must outlive the tasks.
[[nodiscard]] std::vector<engine::ProbeTask> make_probes(SettingsPointer settings, Board& board,
                                                         const env::Env& env);

}  // namespace aeterna::redis
