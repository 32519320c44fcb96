// Orphans: what a drill left whose process has died. serve sees to it as soon as the drill's lock
// is free, which the kernel frees with the process; a drill that runs keeps it and tidies up by
// itself.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/registry.h"
#include "engine/runbook/journal.h"
#include "env/env.h"
#include "stack/dead_drills.h"

namespace aeterna::app {

// Heals, measures, cleans up, closes, and writes the post-mortems of the drills that were closed; an
// Error when something is left for the next time. The caller holds the drill lock.
[[nodiscard]] Result<stack::Aftermath> end_orphans(
    const OpenStack& open, engine::Journal& journal,
    const std::function<void(const std::string&)>& progress, const env::Env& env,
    const env::Context& context);

// Looks every 5 s until destroyed; after a failure the next try comes a minute later.
[[nodiscard]] std::unique_ptr<env::Thread> watch_orphans(const OpenStack& open,
                                                         engine::Journal& journal,
                                                         const env::Env& env);

}  // namespace aeterna::app
