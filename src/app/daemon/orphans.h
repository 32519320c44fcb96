// Orphans: faults whose drill has died. serve heals them as soon as the drill's lock is free, which the kernel frees
// with the process; a drill that runs keeps it and heals by itself.
#pragma once

#include <memory>

#include "config/stack.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::app {

// Looks every 5 s until destroyed.
[[nodiscard]] std::unique_ptr<env::Thread> watch_orphans(const config::Stack& stack, engine::Journal& journal,
                                                         const env::Env& env);

}  // namespace aeterna::app
