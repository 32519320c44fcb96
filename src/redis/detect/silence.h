// How long silence must last before it counts, for the detector and for the proof alike.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace aeterna::redis {

inline constexpr Duration kSilence = std::chrono::seconds(5);
// Sentinel pings each second: what has answered a ping may be silent since any moment of the second after it.
inline constexpr Duration kPingPeriod = std::chrono::seconds(1);
// An answer older than this means that at least one ping went unanswered.
inline constexpr std::int64_t kPingOverdueMs = 2200;
// The master's PING and the Sentinels' hello messages flow over the replication link all the time.
inline constexpr std::int64_t kQuietLinkSeconds = 12;

}  // namespace aeterna::redis
