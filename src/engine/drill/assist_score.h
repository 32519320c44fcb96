// What the assist did for one store: read from the facts of the failover's execution, shown in scorecards and
// post-mortems. Pure. Whoever runs the steps writes the facts; what they leave out is unknown, never guessed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace aeterna::engine {

struct AssistScore {
    std::string outcome;                     // acted refused off not_needed proposed
    std::vector<std::string> reasons;        // why it refused, or what proves what it proposed
    std::optional<std::string> approved_by;  // who said yes to its proposal
    std::optional<double> acted_at_seconds;  // after the fault, or after the incident was opened
    std::optional<double> saved_seconds;     // of the wait that was left when it acted
    std::string saved_of;                    // "lease" | "down_after"; empty when nothing was saved
    std::vector<std::string> fenced;         // what the execution holds fenced still
    Json salvaged;                           // {"directory","files","bytes","summary","lost_writes"} or null
};

// Nothing when the facts do not speak of an assist. `from`: what acted_at_seconds counts from.
[[nodiscard]] std::optional<AssistScore> assist_score(const Json& facts, WallTime from);
[[nodiscard]] Json to_json(const AssistScore& score);

}  // namespace aeterna::engine
