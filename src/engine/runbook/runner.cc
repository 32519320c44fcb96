// The doors to an execution: begin, resume, plan. The drive itself is execution_run.cc.
#include "engine/runbook/runner.h"

#include <fmt/format.h>

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

std::string describe_check(const Result<CheckOutcome>& checked) {
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
    record.id = make_record_id("exec", record.started_at, env_.random.next());
    record.runbook = runbook.name;
    record.store = runbook.store;
    record.parameters = request.parameters;
    record.trigger = request.trigger;
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
    // Only under the lock is it certain that nobody else drives it, and how far it came.
    AETERNA_ASSIGN(std::optional<ExecutionRecord> present, journal_.execution(execution.id));
    if (!present) return make_error(ErrorCode::kNotFound, fmt::format("no execution '{}'", execution.id));
    if (!is_resumable(*present)) {
        return make_error(ErrorCode::kUsage,
                          fmt::format("execution '{}' has ended: {}", present->id, execution_state_name(present->state)),
                          "Run the runbook anew.");
    }
    AETERNA_ASSIGN(const std::vector<StepRecord> history, journal_.steps(present->id));
    AETERNA_TRY(compare(runbook, *present, history));
    present->state = ExecutionState::kRunning;
    present->ended_at.reset();
    present->error.reset();
    present->summary.clear();
    AETERNA_TRY(journal_.put_execution(*present));
    ExecutionRun run({journal_, *hold, env_, runbook, request}, std::move(*present), bounded);
    run.replay(history);
    return run.drive();
}

std::vector<std::string> Runner::plan(Runbook& runbook, const Json&, const env::Context& context) {
    std::vector<std::string> lines;
    // Later checks may build on facts of earlier ones; those of this plan are forgotten with it.
    Json facts = Json::object();
    for (const auto& step : runbook.steps) {
        const StepSpec& spec = step->spec();
        StepContext step_context{env_.clock.within(std::min(spec.timeout, kPlanCheckTimeout), context), facts,
                                 [](const std::string&) {}};
        const Result<CheckOutcome> checked = step->check(step_context);
        lines.push_back(fmt::format("{}. {} ({}; undo: {}) – {}", lines.size() + 1, step->describe(),
                                    risk_name(spec.risk), spec.has_undo ? "yes" : "no", describe_check(checked)));
    }
    return lines;
}

}  // namespace aeterna::engine
