#include "app/daemon/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aeterna::app {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(2);
constexpr Duration kReconcileAgain = std::chrono::seconds(30), kReconcileAtLast = std::chrono::minutes(10);
constexpr std::string_view kNotBegun = "not begun: ";

std::string outcome_line(const engine::ExecutionRecord& execution) {
    return fmt::format("policy: {} {} {}: {}", execution.runbook, execution.id,
                       engine::execution_state_name(execution.state), execution.summary);
}

// Only two named nodes are certainly two outages.
bool is_same_outage(const std::string& left, const std::string& right) {
    return left.empty() || right.empty() || left == right;
}

Error not_now(const std::string& refusal) {
    return make_error(ErrorCode::kGuardRefused, "not acted: " + refusal,
                      "It is begun when the window ends, if the incident is open then.");
}

}  // namespace

std::string lost_node(const engine::ExecutionRecord& execution) {
    const auto by_parameter = find_string(execution.parameters, "old_primary");
    return by_parameter.value_or(find_string(execution.facts, "old_primary").value_or(""));
}

std::string incident_of(const engine::ExecutionRecord& execution) {
    return execution.trigger.substr(kIncidentTrigger.size());
}

bool has_dealt_with_outage(const engine::ExecutionRecord& execution) {
    return execution.runbook != kReconcile && execution.state != engine::ExecutionState::kRefused;
}

bool is_tried_again(const engine::ExecutionRecord& execution) {
    return execution.runbook == kReconcile && execution.state != engine::ExecutionState::kAwaitingApproval;
}

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
        for (Hand& hand : slot.hands) hand.thread->request_stop();
    }
    for (auto& [store, slot] : slots_) {
        for (Hand& hand : slot.hands) hand.thread->join();
    }
}

void Policy::react(const std::vector<engine::IncidentSummary>& open_incidents,
                   const std::vector<engine::StoreStatus>& stores, const Orders& orders) {
    resume_pending(orders);
    for (const engine::StoreStatus& store : stores) {
        const auto slot = slots_.find(store.store);
        if (slot != slots_.end() && store.primary) slot->second.last_primary = *store.primary;
    }
    for (const engine::IncidentSummary& incident : open_incidents) {
        const auto runbook = reaction_to(incident.detector);
        if (!runbook) continue;
        const auto status = std::find_if(stores.begin(), stores.end(),
                                         [&](const auto& store) { return store.store == incident.store; });
        consider(incident, *runbook, status == stores.end() ? nullptr : &*status, orders);
    }
}

void Policy::consider(const engine::IncidentSummary& incident, const std::string& runbook,
                      const engine::StoreStatus* status, const Orders& orders) {
    if (open_.stack.find_store(incident.store) == nullptr || slots_.count(incident.store) == 0) return;
    Wanted wanted;
    wanted.execution.store = incident.store;
    wanted.execution.runbook = runbook;
    wanted.execution.parameters = reaction_parameters(incident, status);
    wanted.execution.trigger = std::string(kIncidentTrigger) + incident.id;
    wanted.incident = incident;
    wanted.primary = find_string(wanted.execution.parameters, "old_primary").value_or("");
    // Of an incident that names no node, it is the primary of the moment when it was first seen, not of its end.
    const auto seen = primaries_.try_emplace(incident.id, slots_[incident.store].last_primary).first;
    if (wanted.primary.empty()) wanted.primary = seen->second;
    if (!is_due(incident, wanted.primary)) return;
    const Leave leave = leave_for(wanted, orders);
    if (!leave.refusal.empty()) return hold_back(incident, leave.refusal);
    if (!leave.is_approved) return await_approval(incident, runbook);
    begin(wanted.execution, wanted.primary, [this, wanted](const env::Context& context) { return perform_new(wanted, context); });
}

Policy::Leave Policy::leave_for(const Wanted& wanted, const Orders& orders) const {
    const config::StoreSection& section = *open_.stack.find_store(wanted.execution.store);
    const WallTime now = env_.clock.wall_now();
    Leave leave;
    if (const auto* window = orders.window_for(section.name, now)) {
        leave.refusal = describe(*window);
        return leave;
    }
    // Its members are down because it holds them down, or have just been changed under everybody's feet.
    if (const auto restore = orders.restores.find(section.name); restore != orders.restores.end()) {
        leave.refusal = fmt::format("the restore in place {} has not ended", restore->second);
        return leave;
    }
    AssistQuestion question;
    question.store = section.name;
    question.detector = wanted.incident.detector;
    question.severity = wanted.incident.severity;
    question.node = wanted.primary;
    question.by_file = section.assist;
    question.by_drill = orders.drill_assist();
    if (orders.drill) question.drill = orders.drill->id;
    question.cooldown = section.assist_cooldown;
    question.now = now;
    const std::lock_guard lock(mutex_);
    const AssistAnswer answer = decide_assist(question, assisted_);
    leave.assist = answer.assist;
    leave.note = answer.note;
    // Whoever lets the assist act has approved the waiting, too; so has who approved a drill that says so.
    leave.is_approved = section.is_approved(wanted.execution.runbook) || section.assist == config::Assist::kAct ||
                        answer.assist == config::Assist::kAct;
    return leave;
}

void Policy::hold_back(const engine::IncidentSummary& incident, const std::string& refusal) {
    if (!note(incident.id, "policy: not acted: " + refusal)) return;
    env_.log.warning("execution.held_back",
                     {{"incident", incident.id}, {"store", incident.store}, {"why", refusal}});
}

void Policy::await_approval(const engine::IncidentSummary& incident, const std::string& runbook) {
    {
        const std::lock_guard lock(mutex_);
        handled_.insert(incident.id);
    }
    note(incident.id, fmt::format("policy: {0} awaits approval: run 'aeterna-dr {0} {1}', or record '{0}' under "
                                  "approvals in the stack file",
                                  runbook, incident.store));
    env_.log.warning("execution.awaits_approval",
                     {{"incident", incident.id}, {"store", incident.store}, {"runbook", runbook}});
}

bool Policy::is_due(const engine::IncidentSummary& incident, const std::string& node) {
    const std::lock_guard lock(mutex_);
    const Slot& slot = slots_[incident.store];
    const auto retry = retry_at_.find(incident.id);
    if (handled_.count(incident.id) != 0 || (retry != retry_at_.end() && env_.clock.now() < retry->second)) return false;
    // Who reconciles does nothing about a death, but turns servers; it ends at once when the master is gone.
    const bool is_in_hand = std::any_of(slot.hands.begin(), slot.hands.end(), [&](const Hand& hand) {
        return hand.busy && is_same_outage(hand.node, node);
    });
    // What a failover has left divided is still there, and nobody has dealt with that.
    const bool is_left_over = reaction_to(incident.detector) == kReconcile;
    const bool is_handled = !is_left_over && std::any_of(slot.handled_until.begin(), slot.handled_until.end(), [&](const auto& handled) {
        return is_same_outage(handled.first, node) && incident.opened_at <= handled.second;
    });
    return !is_in_hand && !is_handled;
}

void Policy::begin(const engine::ExecutionRecord& execution, const std::string& node,
                   std::function<Result<engine::ExecutionRecord>(const env::Context&)> work) {
    const std::string incident_id = incident_of(execution);
    const std::lock_guard lock(mutex_);
    std::list<Hand>& hands = slots_[execution.store].hands;
    // A former thread has given its hand back: what is left of it holds no lock and ends at once.
    std::erase_if(hands, [](const Hand& hand) { return !hand.busy; });
    Hand& hand = hands.emplace_back(Hand{node, true, nullptr});
    env_.log.info("execution.triggered", {{"incident", incident_id},
                                          {"store", execution.store},
                                          {"runbook", execution.runbook}});
    hand.thread = env_.threads.start(
        execution.runbook + " " + execution.store,
        [this, &hand, store = execution.store, incident_id, work = std::move(work)](const std::stop_token& stop) {
            const env::Context context{env_.clock.now() + engine::kUsualBudget + std::chrono::minutes(1), stop,
                                       incident_id};
            finish(store, hand, incident_id, work(context));
        });
}

Result<engine::ExecutionRecord> Policy::perform_new(const Wanted& wanted, const env::Context& context) {
    // A window that was opened a moment ago holds, too.
    AETERNA_ASSIGN(const Orders orders, read_orders(journal_, env_));
    const Leave leave = leave_for(wanted, orders);
    if (!leave.refusal.empty()) return not_now(leave.refusal);
    if (!leave.is_approved) return make_error(ErrorCode::kAwaitingApproval, "the approval is gone");
    engine::ExecutionRecord execution = wanted.execution;
    execution.parameters["assist"] = config::assist_name(leave.assist);
    if (!leave.note.empty()) note(wanted.incident.id, "policy: " + leave.note);
    return perform(execution,
                   [this, &execution](engine::Runner& runner, engine::Runbook& built, engine::RunRequest request,
                                      const env::Context& inner) {
                       // With its first record: who does not get the actor lock has not begun.
                       request.on_record = [this, id = incident_of(execution), tells = std::move(request.on_record),
                                            line = fmt::format("policy: {} begun", execution.runbook)](const engine::StepRecord& record) {
                           note(id, line);
                           tells(record);
                       };
                       return runner.run(built, request, inner);
                   },
                   context);
}

Result<engine::ExecutionRecord> Policy::perform(const engine::ExecutionRecord& execution, const Work& work,
                                                const env::Context& context) {
    AETERNA_ASSIGN(engine::Store * store, open_.find(execution.store));
    AETERNA_ASSIGN(engine::Runbook runbook, store->make_runbook(execution.runbook, execution.parameters));
    engine::Runner runner(journal_, lock_, env_);
    engine::RunRequest request;
    request.parameters = execution.parameters;
    request.trigger = execution.trigger;
    request.on_record = [this, id = incident_of(execution)](const engine::StepRecord& record) { note_proposal(id, record); };
    return work(runner, runbook, request, context);
}

void Policy::finish(const std::string& store, Hand& hand, const std::string& incident_id,
                    const Result<engine::ExecutionRecord>& result) {
    if (result) {
        env_.log.info("execution.ended", {{"execution", result->id},
                                          {"store", store},
                                          {"state", std::string(engine::execution_state_name(result->state))},
                                          {"summary", result->summary}});
        if (result->runbook == kReconcile) note_latest(incident_id, outcome_line(*result), "policy: reconcile exec-");
        else note(incident_id, outcome_line(*result));
        remember(*result);
    } else {
        const bool is_held_back = result.error().code == ErrorCode::kGuardRefused;
        env_.log.warning("execution.not_begun",
                         {{"incident", incident_id}, {"store", store}, {"error", result.error().to_string()}});
        const std::string line = fmt::format("policy: {}{}", is_held_back ? "" : kNotBegun, result.error().to_string());
        if (is_held_back) note(incident_id, line);
        else note_latest(incident_id, line, kNotBegun);
    }
    const std::lock_guard lock(mutex_);
    const bool is_to_be_tried = result && is_tried_again(*result);
    Duration wait = kRetryAfter;
    if (is_to_be_tried) {
        Duration& again = reconcile_again_.try_emplace(incident_id, kReconcileAgain).first->second;
        wait = std::exchange(again, std::min(2 * again, kReconcileAtLast));
    }
    retry_at_[incident_id] = env_.clock.now() + wait;
    if (is_to_be_tried) handled_.erase(incident_id);  // one that was found unfinished counted as handled
    else if (result) handled_.insert(incident_id);
    if (result && has_dealt_with_outage(*result)) slots_[store].handled_until[hand.node] = env_.clock.wall_now();
    hand.busy = false;
}

// Who looks at the incident has to see that a yes is waited for.
void Policy::note_proposal(const std::string& incident_id, const engine::StepRecord& record) {
    const bool is_proposed = record.outcome == "proposed";
    if (!is_proposed && record.outcome != "approved") return;
    const std::string line = fmt::format("policy: {}{}", is_proposed ? "proposes to " : "", record.detail);
    if (!note(incident_id, line)) return;
    env_.log.warning(is_proposed ? "execution.proposes" : "execution.approved", {{"execution", record.execution_id},
                                                                                 {"incident", incident_id},
                                                                                 {"what", record.detail}});
}

bool Policy::note(const std::string& incident_id, const std::string& line) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string>& lines = notes_[incident_id];
    if (std::find(lines.begin(), lines.end(), line) != lines.end()) return false;
    lines.push_back(line);
    return true;
}

// A try every two seconds, each with other milliseconds in its words: only the last one that has the mark is worth keeping.
void Policy::note_latest(const std::string& incident_id, const std::string& line, std::string_view mark) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string>& lines = notes_[incident_id];
    const auto former = std::find_if(lines.begin(), lines.end(), [&](const std::string& other) {
        return other.find(mark) != std::string::npos;
    });
    if (former == lines.end()) lines.push_back(line);
    else *former = line;
}

std::vector<std::string> Policy::notes(const std::string& incident_id) const {
    const std::lock_guard lock(mutex_);
    const auto found = notes_.find(incident_id);
    return found == notes_.end() ? std::vector<std::string>{} : found->second;
}

}  // namespace aeterna::app
