// Healing what a drill left broken: every fault in the journal that is not healed, also another process's whose drill
// has died. Idempotent; used by `drill heal`, by `serve`, and before a new drill begins.
#pragma once

#include <functional>
#include <string>

#include "config/stack.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::stack {

// One drill at a time per stack: a lock file in the state directory, freed by the kernel when the drill dies.
// kLocked while a drill runs.
[[nodiscard]] Result<std::unique_ptr<env::FileLock>> lock_drills(const config::Stack& stack, const env::Env& env);

// Whether the process that began this drill still lives. A killed one leaves its record as "running".
[[nodiscard]] bool is_drill_alive(const engine::DrillRecord& drill, const env::Env& env);

// The number of faults healed; then drills that died are journaled as aborted. Tries all of them; the first error is returned and what it concerns stays in the journal.
// The caller holds the drill lock.
[[nodiscard]] Result<std::size_t> heal_faults(const config::Stack& stack, engine::Journal& journal,
                                              const std::function<void(const std::string&)>& progress,
                                              const env::Env& env, const env::Context& context);

}  // namespace aeterna::stack
