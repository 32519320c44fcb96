#include "stack/start_guard.h"

#include <fmt/format.h>

namespace aeterna::stack {
namespace {

std::string reasons_of(const engine::StackStatus& status) {
    std::string why;
    for (const engine::StoreStatus& store : status.stores) {
        if (store.health == engine::Health::kOk) continue;
        why += fmt::format("{}{} is {}", why.empty() ? "" : ", ", store.store,
                           health_name(store.health));
    }
    for (const engine::IncidentSummary& incident : status.incidents) {
        why += fmt::format("{}incident {}", why.empty() ? "" : ", ", incident.detector);
    }
    return why;
}

}  // namespace

Status require_healthy_stack(engine::Journal& journal, const StatusSource& ask, env::Clock& clock,
                             const env::Context& context) {
    AETERNA_ASSIGN(const auto faults, journal.unhealed_faults());
    if (!faults.empty()) {
        return make_error(ErrorCode::kGuardRefused, "an earlier drill left something broken",
                          "Run `aeterna-dr drill heal` first.");
    }
    // A stack that is just settling from the drill before gets a little time.
    const MonoTime limit = clock.now() + 60s;
    while (true) {
        const auto status = ask(clock.within(5s, context));
        if (context.stop.stop_requested()) {
            return make_error(ErrorCode::kCancelled, "the drill was stopped before it began");
        }
        if (!status) {
            return make_error(ErrorCode::kGuardRefused,
                              "serve does not answer, and a drill has no detectors of its own",
                              "Start it with `aeterna-dr serve` (a lab's `lab up` does).");
        }
        if (status->healthy && status->incidents.empty()) return {};
        if (clock.now() >= limit) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("the stack is not healthy: {}", reasons_of(*status)),
                              "A drill starts from a healthy stack; look at `aeterna-dr status`.");
        }
        if (!clock.sleep_for(500ms, context.stop)) {
            return make_error(ErrorCode::kCancelled, "the drill was stopped before it began");
        }
    }
}

}  // namespace aeterna::stack
