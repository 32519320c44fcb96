// Where a receiver goes on: on which timeline, at which position. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postgres/capture/timeline_history.h"

namespace aeterna::postgres {

// A log of this cluster, as the repository has it.
struct CapturedLog {
    Timeline timeline = 0;
    std::optional<Lsn> end;  // nothing: it has an origin and no byte yet
};

// What a primary says of itself.
struct ServerTimeline {
    Timeline timeline = 0;
    std::vector<TimelineSwitch> history;  // of `timeline`
    Lsn slot_restart = 0;                 // what its slot holds WAL from
    std::uint64_t segment_bytes = 0;
};

struct StartPlan {
    Timeline timeline = 0;
    Lsn position = 0;
    // Captured bytes that are no part of the server's history: [dead_from, dead_to) of dead_timeline stay where they are.
    Timeline dead_timeline = 0;
    Lsn dead_from = 0, dead_to = 0;
    friend bool operator==(const StartPlan&, const StartPlan&) = default;
};

// Goes on at the durable end of the newest log that is an ancestor of the server's timeline, or where its successor begins
// when that end lies at or behind the fork. Without any, at the beginning of the segment that the slot holds.
// kGuardRefused for a server that is not on the newest captured timeline nor on one that goes on later: an old primary
// that came back.
[[nodiscard]] Result<StartPlan> plan_start(const std::vector<CapturedLog>& logs, const ServerTimeline& server);

// The server no longer has what plan_start() asks for (SQLSTATE 58P01): the beginning of the oldest segment that the slot
// holds, on its timeline. The bytes between are a hole.
[[nodiscard]] StartPlan plan_after_hole(const ServerTimeline& server);

}  // namespace aeterna::postgres
