#include "app/daemon/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aeterna::app {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(2);
constexpr Duration kBudget = std::chrono::minutes(15);
constexpr std::size_t kLookBack = 200;
constexpr std::string_view kTrigger = "incident:";

std::string outcome_line(const engine::ExecutionRecord& execution) {
    return fmt::format("policy: {} {} {}: {}", execution.runbook, execution.id,
                       engine::execution_state_name(execution.state), execution.summary);
}

}  // namespace

Json reaction_parameters(const engine::IncidentSummary& incident, const engine::StoreStatus* status) {
    Json parameters = Json::object();
    if (status == nullptr) return parameters;
    const bool is_node = std::any_of(status->nodes.begin(), status->nodes.end(),
                                     [&](const auto& node) { return node.name == incident.subject; });
    if (is_node) parameters["old_primary"] = incident.subject;
    return parameters;
}

Policy::Policy(const OpenStack& open, engine::Journal& journal, engine::ActorLock& lock, const env::Env& env)
    : open_(open), journal_(journal), lock_(lock), env_(env) {
    for (const auto& store : open_.stores) slots_[store->name()];
}

Policy::~Policy() {
    for (auto& [store, slot] : slots_) {
        if (slot.thread) slot.thread->request_stop();
    }
    for (auto& [store, slot] : slots_) {
        if (slot.thread) slot.thread->join();
    }
}

void Policy::take_over() {
    if (const auto faults = journal_.unhealed_faults(); faults) {
        for (const engine::FaultRecord& fault : *faults) {
            env_.log.warning("fault.left_unhealed", {{"fault", fault.id},
                                                     {"drill", fault.drill_id},
                                                     {"store", fault.store},
                                                     {"kind", fault.kind},
                                                     {"hint", "aeterna-dr drill heal"}});
        }
    }
    const auto executions = journal_.executions(kLookBack);
    if (!executions) {
        env_.log.error("journal.read_failed", {{"error", executions.error().to_string()}});
        return;
    }
    std::vector<const engine::ExecutionRecord*> unfinished;  // resumed once all is noted: they run at once
    for (const engine::ExecutionRecord& execution : *executions) {
        // One that our own shutdown cut off has handled nothing: its incident, if still open, begins anew.
        const bool was_cancelled = execution.error && execution.error->code == ErrorCode::kCancelled;
        const bool is_ours = execution.trigger.rfind(kTrigger, 0) == 0 && !was_cancelled;
        const bool has_slot = slots_.count(execution.store) != 0;
        if (is_ours) handled_.insert(execution.trigger.substr(kTrigger.size()));
        if (is_ours && has_slot && execution.ended_at) {
            Slot& slot = slots_[execution.store];
            if (*execution.ended_at > slot.handled_until) {
                slot.handled_until = *execution.ended_at;
                slot.subject = find_string(execution.parameters, "old_primary").value_or("");
            }
        }
        if (execution.state != engine::ExecutionState::kRunning) continue;
        env_.log.warning("execution.found_unfinished", {{"execution", execution.id},
                                                        {"runbook", execution.runbook},
                                                        {"store", execution.store},
                                                        {"trigger", execution.trigger}});
        if (is_ours && has_slot) unfinished.push_back(&execution);
    }
    const std::lock_guard lock(mutex_);
    for (const engine::ExecutionRecord* execution : unfinished) pending_.push_back(*execution);
}

void Policy::resume_pending() {
    std::vector<engine::ExecutionRecord> ready;
    {
        const std::lock_guard lock(mutex_);
        std::set<std::string> taken;  // one per store at a time
        const auto is_ready = [&](const engine::ExecutionRecord& execution) {
            const Slot& slot = slots_[execution.store];
            return !slot.busy && env_.clock.now() >= slot.retry_at && taken.insert(execution.store).second;
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
        if (section != nullptr && section->is_approved(execution.runbook)) {
            resume(execution);
        } else {
            env_.log.warning("execution.awaits_approval", {{"execution", execution.id}, {"store", execution.store}});
        }
    }
}

void Policy::resume(const engine::ExecutionRecord& execution) {
    begin(execution, [this, execution](engine::Runner& runner, engine::Runbook& runbook,
                                       const engine::RunRequest& request, const env::Context& context) {
        auto resumed = runner.resume(execution, runbook, request, context);
        const bool is_passing = !resumed && (resumed.error().code == ErrorCode::kLocked ||
                                             resumed.error().code == ErrorCode::kUnavailable);
        if (is_passing) {  // a dead serve's lock ends by itself, etcd comes back
            const std::lock_guard lock(mutex_);
            pending_.push_back(execution);
        }
        return resumed;
    });
}

void Policy::react(const std::vector<engine::IncidentSummary>& open_incidents,
                   const std::vector<engine::StoreStatus>& stores) {
    resume_pending();
    for (const engine::IncidentSummary& incident : open_incidents) {
        const auto runbook = reaction_to(incident.detector);
        if (!runbook) continue;
        const auto status = std::find_if(stores.begin(), stores.end(),
                                         [&](const auto& store) { return store.store == incident.store; });
        consider(incident, *runbook, status == stores.end() ? nullptr : &*status);
    }
}

void Policy::consider(const engine::IncidentSummary& incident, const std::string& runbook,
                      const engine::StoreStatus* status) {
    const config::StoreSection* section = open_.stack.find_store(incident.store);
    if (section == nullptr || slots_.count(incident.store) == 0) return;
    const Json parameters = reaction_parameters(incident, status);
    if (!is_due(incident, find_string(parameters, "old_primary").value_or(""))) return;
    if (!section->is_approved(runbook)) {
        {
            const std::lock_guard lock(mutex_);
            handled_.insert(incident.id);
        }
        note(incident.id, fmt::format("policy: {0} awaits approval: run 'aeterna-dr {0} {1}', or record '{0}' under "
                                      "approvals in the stack file",
                                      runbook, incident.store));
        env_.log.warning("execution.awaits_approval",
                         {{"incident", incident.id}, {"store", incident.store}, {"runbook", runbook}});
        return;
    }
    engine::ExecutionRecord wanted;
    wanted.store = incident.store;
    wanted.runbook = runbook;
    wanted.parameters = parameters;
    wanted.trigger = std::string(kTrigger) + incident.id;
    begin(wanted, [](engine::Runner& runner, engine::Runbook& built, const engine::RunRequest& request,
                     const env::Context& context) { return runner.run(built, request, context); });
}

bool Policy::is_due(const engine::IncidentSummary& incident, const std::string& subject) {
    const std::lock_guard lock(mutex_);
    const Slot& slot = slots_[incident.store];
    if (slot.busy || handled_.count(incident.id) != 0 || env_.clock.now() < slot.retry_at) return false;
    const bool is_same_outage = subject.empty() || slot.subject.empty() || subject == slot.subject;
    return incident.opened_at > slot.handled_until || !is_same_outage;
}

void Policy::begin(const engine::ExecutionRecord& execution, Work work) {
    const std::string incident_id = execution.trigger.substr(kTrigger.size());
    note(incident_id, fmt::format("policy: {} begun", execution.runbook));
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[execution.store];
    if (slot.busy) return;
    slot.busy = true;
    slot.subject = find_string(execution.parameters, "old_primary").value_or("");
    env_.log.info("execution.triggered", {{"incident", incident_id},
                                          {"store", execution.store},
                                          {"runbook", execution.runbook}});
    // The former thread has given the slot back: what is left of it holds no lock and ends at once.
    slot.thread = env_.threads.start(
        execution.runbook + " " + execution.store,
        [this, execution, incident_id, work = std::move(work)](const std::stop_token& stop) {
            const env::Context context{env_.clock.now() + kBudget + std::chrono::minutes(1), stop, incident_id};
            finish(execution.store, incident_id, perform(execution, work, context));
        });
}

Result<engine::ExecutionRecord> Policy::perform(const engine::ExecutionRecord& execution, const Work& work,
                                                const env::Context& context) {
    AETERNA_ASSIGN(engine::Store * store, open_.find(execution.store));
    AETERNA_ASSIGN(engine::Runbook runbook, store->make_runbook(execution.runbook, execution.parameters));
    engine::Runner runner(journal_, lock_, env_);
    engine::RunRequest request;
    request.parameters = execution.parameters;
    request.trigger = execution.trigger;
    request.budget = kBudget;
    return work(runner, runbook, request, context);
}

void Policy::finish(const std::string& store, const std::string& incident_id,
                    const Result<engine::ExecutionRecord>& result) {
    if (result) {
        env_.log.info("execution.ended", {{"execution", result->id},
                                          {"store", store},
                                          {"state", std::string(engine::execution_state_name(result->state))},
                                          {"summary", result->summary}});
        note(incident_id, outcome_line(*result));
    } else {
        env_.log.warning("execution.not_begun",
                         {{"incident", incident_id}, {"store", store}, {"error", result.error().to_string()}});
        note(incident_id, fmt::format("policy: not begun: {}", result.error().to_string()));
    }
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[store];
    slot.busy = false;
    slot.retry_at = env_.clock.now() + kRetryAfter;
    if (result) {
        handled_.insert(incident_id);
        slot.handled_until = env_.clock.wall_now();
    }
}

void Policy::note(const std::string& incident_id, const std::string& line) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string>& lines = notes_[incident_id];
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) lines.push_back(line);
}

std::vector<std::string> Policy::notes(const std::string& incident_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = notes_.find(incident_id);
    return found == notes_.end() ? std::vector<std::string>{} : found->second;
}

}  // namespace aeterna::app
