// Dead drills: what a drill left whose process was killed. The journal says what it broke, the
// ledgers what it had sent and heard; whoever holds the drill lock next (`drill heal`, `serve`)
// heals, reads back, removes the workload's records and closes the drill as aborted, with a
// scorecard of what was measured up to its death.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/drill/drill_store.h"
#include "engine/runbook/journal.h"

namespace aeterna::stack {

struct DeadDrillParts {
    const config::Stack& stack;
    engine::Journal& journal;
    std::function<std::vector<std::unique_ptr<engine::DrillStore>>()> stores;
    std::function<void(const std::string&)> progress;
    const env::Env& env;
};

struct Aftermath {
    std::size_t healed = 0;           // faults
    std::vector<std::string> closed;  // ids of drills
    std::optional<Error> left;        // why another one could not be closed; it stays for the next time
};

// Heals every fault and closes every drill that says it still runs. Idempotent; everything is tried.
// An Error means that something is still broken: then no drill is closed. The caller holds the drill
// lock.
[[nodiscard]] Result<Aftermath> end_dead_drills(const DeadDrillParts& parts,
                                                const env::Context& context);

}  // namespace aeterna::stack
