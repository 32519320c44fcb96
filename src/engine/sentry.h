// Sentry: what a store does beside all executions while serve runs, with nobody waiting for it: it meets an old primary
// that comes back, whoever replaced it. Needs no actor lock: whatever it does may be done by two.
#pragma once

#include <vector>

#include "engine/detect/monitor.h"
#include "engine/runbook/journal.h"
#include "engine/status.h"

namespace aeterna::engine {

class Sentry {
  public:
    virtual ~Sentry() = default;
    // At start: what an earlier serve has begun and not ended. Whom it replaced may be back already.
    virtual void take_over(const ExecutionRecord& unfinished) = 0;
    // Each round of judgement in which we see enough; never blocks. Without leave (assist not `act`, a maintenance
    // window) it stands down.
    virtual void look(const StoreStatus& status, bool may_act) = 0;
    // What it did since the last call, for the timeline.
    [[nodiscard]] virtual std::vector<StoreEvent> take_events() = 0;
};

}  // namespace aeterna::engine
