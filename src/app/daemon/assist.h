// How far a failover may go for one incident: the stack file's word, the running drill's word instead of it, and the
// cooldown. Pure.
//
// After a failover in which the assist acted, the same failure only proposes for a while: what was cured a moment ago and
// is ill again needs a person, not a third cure. Worse is never held back: another node's death, another detector's
// finding, a higher severity. Drills fail on purpose: their failovers start no cooldown, and heed none.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/runbook/journal.h"

namespace aeterna::app {

// What begins the trigger of an execution that an incident has begun; the incident's id follows.
inline constexpr std::string_view kIncidentTrigger = "incident:";

struct AssistedFailure {
    std::string execution;
    std::string store;
    std::string detector;
    std::string severity;
    std::string node;  // the primary that was lost; empty = not known
    WallTime ended_at{};
};

struct AssistQuestion {
    std::string store;
    std::string detector;
    std::string severity;
    std::string node;  // the primary that is lost now; empty = not known
    config::Assist by_file = config::Assist::kOff;
    std::optional<config::Assist> by_drill;
    std::string drill;  // id of the running drill; empty = none runs
    Duration cooldown{};
    WallTime now{};
};

struct AssistAnswer {
    config::Assist assist = config::Assist::kOff;
    std::string note;  // why it is not what the stack file says; else empty
};

[[nodiscard]] AssistAnswer decide_assist(const AssistQuestion& question, const std::vector<AssistedFailure>& past);

// What the cooldown remembers of a finished execution: nothing unless policy began it, the assist acted and no drill ran
// then. `incidents` and `drills` are where its trigger and its cause are looked for.
[[nodiscard]] std::optional<AssistedFailure> assisted_failure(const engine::ExecutionRecord& execution,
                                                              const std::vector<engine::IncidentSummary>& incidents,
                                                              const std::vector<engine::DrillRecord>& drills);

}  // namespace aeterna::app
