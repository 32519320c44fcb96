// Retention: serve forgets once a day what ended before the time that the stack file says
// (journal.keep).
#pragma once

#include <memory>

#include "config/stack.h"
#include "engine/runbook/journal.h"
#include "env/env.h"

namespace aeterna::app {

// The first time soon after the start, so that a serve that is restarted every day forgets as well.
[[nodiscard]] std::unique_ptr<env::Thread> forget_daily(const config::Stack& stack,
                                                        engine::Journal& journal,
                                                        const env::Env& env);

}  // namespace aeterna::app
