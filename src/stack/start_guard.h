// What has to hold before a drill may break anything: nothing is left broken, serve watches, the
// stack is healthy.
#pragma once

#include <functional>

#include "engine/runbook/journal.h"
#include "engine/status.h"
#include "env/env.h"

namespace aeterna::stack {

// What `serve` says now; an error when it does not answer.
using StatusSource = std::function<Result<engine::StackStatus>(const env::Context&)>;

// Waits up to a minute for a stack that is just settling from the drill before. kGuardRefused with
// the reasons; kCancelled when it was stopped.
Status require_healthy_stack(engine::Journal& journal, const StatusSource& ask, env::Clock& clock,
                             const env::Context& context);

}  // namespace aeterna::stack
