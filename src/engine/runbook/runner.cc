// The doors to an execution: begin, resume, abort, plan. The drive itself is execution_run.cc.
#include "engine/runbook/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/runbook/execution_run.h"

namespace aeterna::engine {
namespace {

constexpr Duration kPlanCheckTimeout = std::chrono::seconds(3);

std::string intent_of(const ExecutionRecord& execution) {
    return fmt::format("{} {} ({})", execution.runbook, execution.store, execution.id);
}

// The steps in memory must be those that the journal speaks of.
Status compare(const Runbook& runbook, const ExecutionRecord& execution, const std::vector<StepRecord>& history) {
    bool same = runbook.name == execution.runbook && runbook.store == execution.store &&
                execution.next_step <= runbook.steps.size();
    for (const StepRecord& record : history) {
        same = same && record.index < runbook.steps.size() &&
               runbook.steps[record.index]->spec().name == record.step;
    }
    if (same) return {};
    return make_error(ErrorCode::kUsage,
                      fmt::format("execution '{}' does not fit the runbook '{}' of this version", execution.id, runbook.name),
                      "Finish it with the version that began it, or abort it and run the runbook anew.");
}

void begin_again(ExecutionRecord& execution, const env::Env& env) {
    mark_as_driven(execution, env);
    execution.facts.erase(kProposalFact);  // of a drive that died
    execution.state = ExecutionState::kRunning;
    execution.ended_at.reset();
    execution.error.reset();
    execution.summary.clear();
}

// An execution whose steps this version cannot take back.
void close_unread(ExecutionRecord& execution, const std::vector<StepRecord>& history, WallTime now) {
    const bool has_acted = std::any_of(history.begin(), history.end(), [](const StepRecord& record) {
        return record.phase == "apply" && record.outcome == "started";
    });
    execution.state = ExecutionState::kAborted;
    execution.ended_at = now;
    execution.summary = "aborted by hand; nothing had been applied";
    execution.error.reset();
    if (!has_acted) return;
    execution.summary = "aborted by hand; nothing was taken back: this version does not know its steps";
    execution.error = make_error(ErrorCode::kUnknownOutcome, execution.summary,
                                 fmt::format("Look at its steps ('aeterna-dr execution show {}') and at the servers.",
                                             execution.id),
                                 Effect::kUnknown);
}

std::string describe_check(const Step& step, const Result<CheckOutcome>& checked) {
    if (checked && *checked == CheckOutcome::kNotDue) return step.condition();
    if (checked) return *checked == CheckOutcome::kAlreadyDone ? "already done" : "would run";
    const Error& error = checked.error();
    if (error.code == ErrorCode::kGuardRefused) return "refused: " + error.to_string();
    if (error.code == ErrorCode::kAwaitingApproval) return "needs approval: " + error.to_string();
    return "cannot be told yet: " + error.to_string();
}

}  // namespace

Runner::Runner(Journal& journal, ActorLock& lock, const env::Env& env) : journal_(journal), lock_(lock), env_(env) {}

Result<ExecutionRecord> Runner::run(Runbook& runbook, const RunRequest& request, const env::Context& context) {
    ExecutionRecord record;
    record.started_at = env_.clock.wall_now();
    record.id = make_record_id(kExecutionPrefix, record.started_at, env_.random.next());
    record.runbook = runbook.name;
    record.store = runbook.store;
    record.parameters = request.parameters;
    record.trigger = request.trigger;
    mark_as_driven(record, env_);
    const env::Context bounded = env_.clock.within(request.budget, context);
    AETERNA_ASSIGN(const std::unique_ptr<ActorLockHold> hold, lock_.acquire(intent_of(record), bounded));
    AETERNA_TRY(journal_.put_execution(record));
    ExecutionRun run({journal_, *hold, env_, runbook, request}, std::move(record), bounded);
    return run.drive();
}

Result<ExecutionRecord> Runner::resume(ExecutionRecord execution, Runbook& runbook, const RunRequest& request,
                                       const env::Context& context) {
    const env::Context bounded = env_.clock.within(request.budget, context);
    AETERNA_ASSIGN(const std::unique_ptr<ActorLockHold> hold, lock_.acquire(intent_of(execution), bounded));
    AETERNA_ASSIGN(ExecutionRecord present, load_resumable(execution.id));
    AETERNA_ASSIGN(const std::vector<StepRecord> history, journal_.steps(present.id));
    AETERNA_TRY(compare(runbook, present, history));
    begin_again(present, env_);
    AETERNA_TRY(journal_.put_execution(present));
    ExecutionRun run({journal_, *hold, env_, runbook, request}, std::move(present), bounded);
    run.replay(history);
    return run.drive();
}

Result<ExecutionRecord> Runner::abort(const ExecutionRecord& execution, Runbook* runbook, const RunRequest& request,
                                      const env::Context& context) {
    const env::Context bounded = env_.clock.within(request.budget, context);
    AETERNA_ASSIGN(const std::unique_ptr<ActorLockHold> hold, lock_.acquire(intent_of(execution), bounded));
    AETERNA_ASSIGN(ExecutionRecord present, load_resumable(execution.id));
    AETERNA_ASSIGN(const std::vector<StepRecord> history, journal_.steps(present.id));
    if (runbook == nullptr || !compare(*runbook, present, history)) {
        close_unread(present, history, env_.clock.wall_now());
        AETERNA_TRY(journal_.put_execution(present));
        return present;
    }
    begin_again(present, env_);
    mark_for_abort(present);
    ExecutionRun run({journal_, *hold, env_, *runbook, request}, present, bounded);
    run.replay(history);
    if (run.has_passed_no_return()) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("execution '{}' has come too far to be taken back", present.id),
                          fmt::format("It can be gone on with: 'aeterna-dr execution resume {}'.", present.id));
    }
    AETERNA_TRY(journal_.put_execution(present));
    return run.drive();
}

// Only under the lock is it certain that nobody else drives it, and how far it came.
Result<ExecutionRecord> Runner::load_resumable(const std::string& id) {
    AETERNA_ASSIGN(std::optional<ExecutionRecord> present, journal_.execution(id));
    if (!present) return make_error(ErrorCode::kNotFound, fmt::format("no execution '{}'", id));
    if (is_resumable(*present)) return std::move(*present);
    return make_error(ErrorCode::kUsage,
                      fmt::format("execution '{}' has ended: {}", id, execution_state_name(present->state)),
                      "Run the runbook anew.");
}

std::vector<std::string> Runner::plan(Runbook& runbook, const env::Context& context) {
    std::vector<std::string> lines;
    // Later checks may build on facts of earlier ones; those of this plan are forgotten with it.
    Json facts = Json::object();
    for (const auto& step : runbook.steps) {
        const StepSpec& spec = step->spec();
        StepContext step_context{env_.clock.within(std::min(spec.timeout, kPlanCheckTimeout), context), facts,
                                 [](const std::string&) {}};
        const Result<CheckOutcome> checked = step->check(step_context);
        lines.push_back(fmt::format("{}. {} ({}; undo: {}) – {}", lines.size() + 1, step->describe(),
                                    risk_name(spec.risk), spec.has_undo ? "yes" : "no", describe_check(*step, checked)));
    }
    return lines;
}

}  // namespace aeterna::engine
