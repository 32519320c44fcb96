// What an earlier serve left behind: the part of Policy that reads the journal at the start, goes on with interrupted
// executions, and remembers assisted failures for the cooldown.
#include <algorithm>
#include <utility>

#include "app/daemon/policy.h"

namespace aeterna::app {
namespace {

constexpr std::size_t kExecutionLookBack = 200;

// One that our own shutdown cut off has handled nothing: its incident, if still open, begins anew.
bool is_by_incident(const engine::ExecutionRecord& execution) {
    const bool was_cancelled = execution.error && execution.error->code == ErrorCode::kCancelled;
    return execution.trigger.rfind(kIncidentTrigger, 0) == 0 && !was_cancelled;
}

}  // namespace

std::vector<engine::ExecutionRecord> Policy::take_over() {
    if (const auto faults = journal_.unhealed_faults(); faults) {
        for (const engine::FaultRecord& fault : *faults) {
            env_.log.warning("fault.left_unhealed", {{"fault", fault.id},
                                                     {"drill", fault.drill_id},
                                                     {"store", fault.store},
                                                     {"kind", fault.kind},
                                                     {"hint", "aeterna-dr drill heal"}});
        }
    }
    const auto executions = journal_.executions(kExecutionLookBack);
    if (!executions) {
        env_.log.error("journal.read_failed", {{"error", executions.error().to_string()}});
        return {};
    }
    std::vector<engine::ExecutionRecord> unfinished;  // resumed once all is noted: they run at once
    for (const engine::ExecutionRecord& execution : *executions) {
        const bool is_ours = is_by_incident(execution);
        const auto slot = slots_.find(execution.store);
        const bool is_begun_anew = execution.ended_at && is_tried_again(execution);  // else it is gone on with
        if (is_ours && !is_begun_anew) handled_.insert(incident_of(execution));
        if (slot != slots_.end()) remember(execution);
        if (is_ours && slot != slots_.end() && execution.ended_at && has_dealt_with_outage(execution)) {
            WallTime& until = slot->second.handled_until[lost_node(execution)];
            until = std::max(until, *execution.ended_at);
        }
        if (execution.state != engine::ExecutionState::kRunning) continue;
        env_.log.warning("execution.found_unfinished", {{"execution", execution.id},
                                                        {"runbook", execution.runbook},
                                                        {"store", execution.store},
                                                        {"trigger", execution.trigger}});
        if (is_ours && slot != slots_.end()) unfinished.push_back(execution);
    }
    const std::lock_guard lock(mutex_);
    pending_.insert(pending_.end(), unfinished.begin(), unfinished.end());
    return unfinished;
}

void Policy::resume_pending(const Orders& orders) {
    std::vector<engine::ExecutionRecord> ready;
    {
        const std::lock_guard lock(mutex_);
        std::set<std::string> taken;  // one per store at a time
        const auto is_ready = [&](const engine::ExecutionRecord& execution) {
            const Slot& slot = slots_[execution.store];
            const bool is_busy = std::any_of(slot.hands.begin(), slot.hands.end(), [](const Hand& hand) { return hand.busy; });
            const auto retry = retry_at_.find(incident_of(execution));
            const bool is_early = retry != retry_at_.end() && env_.clock.now() < retry->second;
            const bool is_held = orders.window_for(execution.store, env_.clock.wall_now()) != nullptr ||
                                 orders.restores.count(execution.store) > 0;
            return !is_busy && !is_early && !is_held && taken.insert(execution.store).second;
        };
        for (auto it = pending_.begin(); it != pending_.end();) {
            if (!is_ready(*it)) {
                ++it;
                continue;
            }
            ready.push_back(std::move(*it));
            it = pending_.erase(it);
        }
    }
    for (const engine::ExecutionRecord& execution : ready) {
        const config::StoreSection* section = open_.stack.find_store(execution.store);
        // It was approved when it was begun; that may have been by the drill or the assist.
        const bool by_assist = find_string(execution.parameters, "assist") == "act";
        const bool is_approved = section != nullptr && (section->is_approved(execution.runbook) ||
                                                        section->assist == config::Assist::kAct || by_assist);
        if (is_approved) {
            begin(execution, lost_node(execution), [this, execution](const env::Context& context) { return resume(execution, context); });
        } else {
            env_.log.warning("execution.awaits_approval", {{"execution", execution.id}, {"store", execution.store}});
        }
    }
}

Result<engine::ExecutionRecord> Policy::resume(const engine::ExecutionRecord& execution, const env::Context& context) {
    const auto work = [this, &execution](engine::Runner& runner, engine::Runbook& runbook,
                                         const engine::RunRequest& request, const env::Context& inner) {
        auto resumed = runner.resume(execution, runbook, request, inner);
        const bool is_passing = !resumed && (resumed.error().code == ErrorCode::kLocked ||
                                             resumed.error().code == ErrorCode::kUnavailable ||
                                             resumed.error().code == ErrorCode::kTimeout ||
                                             resumed.error().code == ErrorCode::kDeadline);
        if (is_passing) {  // a dead serve's lock ends by itself, etcd comes back
            const std::lock_guard lock(mutex_);
            pending_.push_back(execution);
        }
        return resumed;
    };
    return perform(execution, work, context);
}

void Policy::remember(const engine::ExecutionRecord& execution) {
    if (find_string(execution.facts, "assist") != "acted" || !is_by_incident(execution)) return;
    // By its id: by their times, a clock that was set back meanwhile hides it.
    const auto incident = journal_.incident(incident_of(execution));
    const auto drills = journal_.drills(kExecutionLookBack);
    if (!incident || !drills) {
        const Error& error = !incident ? incident.error() : drills.error();
        env_.log.error("journal.read_failed", {{"error", error.to_string()}});
        return;
    }
    if (!*incident) return;
    const auto failure = assisted_failure(execution, {**incident}, *drills);
    if (!failure) return;
    const std::lock_guard lock(mutex_);
    assisted_.push_back(*failure);
}

}  // namespace aeterna::app
