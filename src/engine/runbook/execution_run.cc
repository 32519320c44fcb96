#include "engine/runbook/execution_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/runbook/records.h"

namespace aeterna::engine {
namespace {

constexpr const char* kUnwinding = "runner.unwinding";
constexpr const char* kAborting = "runner.aborting";
constexpr const char* kProcess = "runner.process";
// To know what happened is worth a little more than the deadline.
constexpr Duration kVerifyGrace = std::chrono::seconds(5);

// The world could not be read: that says nothing about it.
bool is_indeterminate(const Error& error) {
    switch (error.code) {
        case ErrorCode::kTimeout:
        case ErrorCode::kDeadline:
        case ErrorCode::kUnreachable:
        case ErrorCode::kConnectionLost:
        case ErrorCode::kUnknownOutcome:
        case ErrorCode::kCancelled: return true;
        default: return false;
    }
}

}  // namespace

bool is_resumable(const ExecutionRecord& execution) {
    switch (execution.state) {
        case ExecutionState::kRunning:
        case ExecutionState::kAwaitingApproval:
        case ExecutionState::kUnknown: return true;
        case ExecutionState::kFailed:
        case ExecutionState::kRefused: return execution.facts.contains(kUnwinding);
        case ExecutionState::kSucceeded:
        case ExecutionState::kAborted: return false;
    }
    return false;
}

bool is_driven(const ExecutionRecord& execution, const env::Env& env) {
    return execution.state == ExecutionState::kRunning &&
           is_process_alive(find_member(execution.facts, kProcess), env.processes);
}

void mark_as_driven(ExecutionRecord& execution, const env::Env& env) {
    execution.facts[kProcess] = own_process_to_json(env.processes);
}

void mark_for_abort(ExecutionRecord& execution) {
    execution.facts[kAborting] = true;
    if (execution.facts.contains(kUnwinding)) return;
    execution.facts[kUnwinding] = error_to_json(make_error(ErrorCode::kCancelled, "aborted by hand"));
}

ExecutionRun::ExecutionRun(Parts parts, ExecutionRecord record, const env::Context& context)
    : parts_(parts),
      record_(std::move(record)),
      proposal_(parts_.journal, parts_.env, record_,
                [this](const char* outcome, const std::string& detail) {
                    static_cast<void>(note(record_.next_step, "progress", outcome, detail));
                }),
      context_(context),
      saved_facts_(record_.facts) {
    context_.run_id = record_.id;
}

void ExecutionRun::replay(const std::vector<StepRecord>& history) {
    for (const StepRecord& record : history) {
        track(record);
        if (record.phase == "apply" && record.outcome == "started") interrupted_.insert(record.index);
        const bool judged = record.phase == "verify" || record.phase == "undo" ||
                            (record.phase == "apply" && (record.outcome == "failed" || record.outcome == "awaiting_approval")) ||
                            (record.phase == "check" && record.outcome == "skipped");
        // An unknown verdict is none: the next check has to judge.
        if (judged && record.outcome != "unknown") interrupted_.erase(record.index);
    }
}

// Keeps applied_ in step with what was journaled; the same rules for a replayed record and a new one.
void ExecutionRun::track(const StepRecord& record) {
    if (record.phase == "apply" && record.outcome == "started") {
        was_applied_ = !applied_.insert(record.index).second;
    } else if (record.phase == "apply" && record.effect == Effect::kNone &&
               (record.outcome == "failed" || record.outcome == "awaiting_approval")) {
        if (!was_applied_) applied_.erase(record.index);
    } else if (record.phase == "undo" && record.outcome == "done") {
        applied_.erase(record.index);
    }
}

ExecutionRecord ExecutionRun::drive() {
    if (record_.facts.contains(kUnwinding)) return unwind();
    while (record_.next_step < parts_.runbook.steps.size()) {
        if (MaybeStop stop = run_step(record_.next_step)) return conclude(std::move(*stop));
    }
    return end(ExecutionState::kSucceeded, fmt::format("{} steps done", parts_.runbook.steps.size()), std::nullopt);
}

ExecutionRun::MaybeStop ExecutionRun::run_step(std::size_t index) {
    if (MaybeStop stop = gate(index)) return stop;
    StepContext step_context = context_for(index, parts_.env.clock.within(step(index).spec().timeout, context_));
    bool done = false;
    if (MaybeStop stop = check_step(index, step_context, done)) return stop;
    if (!done) {
        if (MaybeStop stop = gate(index)) return stop;
        if (MaybeStop stop = apply_step(index, step_context)) return stop;
    }
    return finish_step(index);
}

ExecutionRun::MaybeStop ExecutionRun::gate(std::size_t index) const {
    if (context_.stop.stop_requested()) {
        return stop_before_judgement(
            index, make_error(ErrorCode::kCancelled, fmt::format("cancelled before step '{}'", name(index))));
    }
    if (parts_.env.clock.now() >= context_.deadline) {
        return stop_before_judgement(index,
                                     make_error(ErrorCode::kDeadline,
                                                fmt::format("the time ran out before step '{}'", name(index)),
                                                "Give it more with --timeout, and look why earlier steps were slow."));
    }
    return std::nullopt;
}

// Nothing that ends a drive may hide that an interrupted apply is still to be judged.
ExecutionRun::Stop ExecutionRun::stop_before_judgement(std::size_t index, Error error) const {
    if (!interrupted_.contains(index)) return {Stop::Kind::kFailed, std::move(error)};
    Error outer = wrap_error(std::move(error), fmt::format("step '{}' was begun earlier and could not be judged", name(index)));
    outer.code = ErrorCode::kUnknownOutcome;
    outer.effect = Effect::kUnknown;
    return {Stop::Kind::kUnknown, std::move(outer)};
}

ExecutionRun::MaybeStop ExecutionRun::check_step(std::size_t index, StepContext& step_context, bool& done) {
    if (Status noted = note(index, "check", "started", step(index).describe()); !noted) {
        return stop_before_judgement(index, noted.error());
    }
    const Result<CheckOutcome> checked = step(index).check(step_context);
    if (Status saved = save_facts(); !saved) return stop_before_judgement(index, saved.error());
    if (checked) {
        done = *checked != CheckOutcome::kReady;
        const bool not_due = *checked == CheckOutcome::kNotDue;
        Status noted;
        if (done) noted = note(index, "check", "skipped",
                               not_due ? "not needed: " + step(index).condition() : "the world is so already");
        if (!noted) return stop_before_judgement(index, noted.error());
        interrupted_.erase(index);
        return std::nullopt;
    }
    const Error& error = checked.error();
    const bool refused = error.code == ErrorCode::kGuardRefused;
    const bool awaiting = error.code == ErrorCode::kAwaitingApproval;
    const char* outcome = refused ? "refused" : awaiting ? "awaiting_approval" : "failed";
    static_cast<void>(note(index, "check", outcome, error.to_string()));
    if (awaiting) return Stop{Stop::Kind::kAwaitingApproval, error};
    // A guard says what must not be done now, not what an interrupted apply did; an undo would settle that.
    const bool settled = !interrupted_.contains(index) || step(index).spec().has_undo;
    if (refused && settled) return Stop{Stop::Kind::kRefused, error};
    if (refused) return stop_before_judgement(index, error);
    Error outer = wrap_error(error, fmt::format("step '{}' cannot be checked", name(index)));
    if (is_indeterminate(error)) return stop_before_judgement(index, std::move(outer));
    return Stop{Stop::Kind::kFailed, std::move(outer)};
}

ExecutionRun::MaybeStop ExecutionRun::apply_step(std::size_t index, StepContext& step_context) {
    if (!parts_.hold.is_held()) {
        Error error = make_error(ErrorCode::kLocked, fmt::format("the actor lock was lost before step '{}'", name(index)),
                                 "Check etcd, then resume the execution.");
        const bool touched = !applied_.empty();
        return Stop{touched ? Stop::Kind::kUnknown : Stop::Kind::kFailed, std::move(error)};
    }
    if (Status noted = note(index, "apply", "started", step(index).describe()); !noted) {
        return Stop{Stop::Kind::kFailed, noted.error()};
    }
    const Status applied = step(index).apply(step_context);
    proposal_.close();
    const Status saved = save_facts();
    if (!applied && applied.error().effect == Effect::kNone) {
        const bool awaiting = applied.error().code == ErrorCode::kAwaitingApproval;
        static_cast<void>(note(index, "apply", awaiting ? "awaiting_approval" : "failed", applied.error().to_string()));
        if (awaiting) return Stop{Stop::Kind::kAwaitingApproval, applied.error()};
        return Stop{Stop::Kind::kFailed, wrap_error(applied.error(), fmt::format("step '{}' failed", name(index)))};
    }
    const std::string detail = applied ? "" : applied.error().to_string();
    const Effect effect = applied ? Effect::kNone : applied.error().effect;
    const Status noted = note(index, "apply", applied ? "done" : "unknown", detail, effect);
    const MaybeStop stop = verify_step(index, step_context,
                                       applied ? std::nullopt : std::optional<Error>(applied.error()));
    if (stop) return stop;
    if (!saved) return Stop{Stop::Kind::kFailed, saved.error()};
    if (!noted) return Stop{Stop::Kind::kFailed, noted.error()};
    return std::nullopt;
}

// With the stop token while nobody wants to stop; when somebody does, once more and briefly without it.
Status ExecutionRun::ask_verify(std::size_t index, StepContext& step_context) {
    const MonoTime grace = parts_.env.clock.now() + kVerifyGrace;
    if (!context_.stop.stop_requested()) {
        step_context.context.deadline = std::max(step_context.context.deadline, grace);
        Status verified = step(index).verify(step_context);
        if (verified || !context_.stop.stop_requested()) return verified;
    }
    step_context.context.stop = {};
    step_context.context.deadline = parts_.env.clock.now() + kVerifyGrace;
    return step(index).verify(step_context);
}

ExecutionRun::MaybeStop ExecutionRun::verify_step(std::size_t index, StepContext& step_context,
                                                  const std::optional<Error>& apply_error) {
    const Status verified = ask_verify(index, step_context);
    static_cast<void>(save_facts());
    if (verified) {
        if (Status noted = note(index, "verify", "done", ""); !noted) return Stop{Stop::Kind::kFailed, noted.error()};
        return std::nullopt;
    }
    const std::string after = apply_error ? fmt::format(" after '{}'", apply_error->to_string()) : "";
    if (is_indeterminate(verified.error())) {
        static_cast<void>(note(index, "verify", "unknown", verified.error().to_string(), Effect::kUnknown));
        Error error = wrap_error(verified.error(),
                                 fmt::format("it is unknown whether step '{}' took effect{}", name(index), after));
        error.code = ErrorCode::kUnknownOutcome;
        error.effect = Effect::kUnknown;
        return Stop{Stop::Kind::kUnknown, std::move(error)};
    }
    static_cast<void>(note(index, "verify", "failed", verified.error().to_string(), Effect::kPartial));
    Error error = wrap_error(verified.error(), fmt::format("step '{}' did not take effect{}", name(index), after));
    error.effect = Effect::kPartial;
    return Stop{Stop::Kind::kFailed, std::move(error)};
}

ExecutionRun::MaybeStop ExecutionRun::finish_step(std::size_t index) {
    record_.next_step = index + 1;
    if (Status saved = save(); !saved) return Stop{Stop::Kind::kFailed, saved.error()};
    return std::nullopt;
}

ExecutionRecord ExecutionRun::conclude(Stop stop) {
    const std::string resume_hint = fmt::format(
        "Look at the servers that are named, then run 'aeterna-dr execution resume {}': it re-reads the world first.",
        record_.id);
    if (stop.kind == Stop::Kind::kAwaitingApproval) {
        return end(ExecutionState::kAwaitingApproval, stop.error.to_string(), stop.error);
    }
    if (stop.kind == Stop::Kind::kUnknown || has_passed_no_return()) {
        stop.error.hint += (stop.error.hint.empty() ? "" : " ") + resume_hint;
        return end(ExecutionState::kUnknown, stop.error.to_string(), stop.error);
    }
    record_.facts[kUnwinding] = error_to_json(stop.error);
    // Undone without a durable mark, a resume would go forward on steps that no longer hold.
    if (Status saved = steps_to_undo().empty() ? Status() : save(); !saved) {
        record_.facts.erase(kUnwinding);
        Error error = wrap_error(stop.error, "nothing was taken back, because the journal cannot be written");
        error.code = ErrorCode::kUnknownOutcome;
        error.effect = Effect::kPartial;
        error.hint = fmt::format("Make the journal writable, then run 'aeterna-dr execution resume {}'.", record_.id);
        return end(ExecutionState::kUnknown, error.to_string(), error);
    }
    return unwind();
}

bool ExecutionRun::has_passed_no_return() const {
    return std::any_of(applied_.begin(), applied_.end(),
                       [this](std::size_t index) { return step(index).spec().is_point_of_no_return; });
}

std::vector<std::size_t> ExecutionRun::steps_to_undo() const {
    std::vector<std::size_t> indices;
    for (auto index = applied_.rbegin(); index != applied_.rend(); ++index) {
        if (step(*index).spec().has_undo) indices.push_back(*index);
        if (step(*index).spec().is_point_of_no_return) break;
    }
    return indices;
}

ExecutionRecord ExecutionRun::unwind() {
    Error reason = error_from_json(record_.facts[kUnwinding])
                       .value_or(make_error(ErrorCode::kInternal, "the reason of the undo is not in the journal"));
    const std::vector<std::size_t> indices = steps_to_undo();
    std::string problems;
    for (const std::size_t index : indices) {
        if (!parts_.hold.is_held()) {
            Error error = make_error(ErrorCode::kLocked,
                                     fmt::format("the actor lock was lost before the undo of step '{}'", name(index)),
                                     "Check etcd, then resume the execution: it goes on with the undo.", Effect::kPartial);
            return end(ExecutionState::kUnknown, error.to_string(), error);
        }
        if (const Status undone = undo_step(index); !undone) {
            problems += fmt::format("; the undo of step '{}' failed: {}", name(index), undone.error().to_string());
        }
    }
    const ExecutionState state =
        reason.code == ErrorCode::kGuardRefused ? ExecutionState::kRefused : ExecutionState::kFailed;
    if (!problems.empty()) {
        Error error = make_error(ErrorCode::kPartial, reason.to_string() + problems,
                                 fmt::format("Run 'aeterna-dr execution resume {}' to try the undo again.", record_.id),
                                 Effect::kPartial);
        return end(ExecutionState::kFailed, error.message, error);
    }
    record_.facts.erase(kUnwinding);
    const std::string undone = indices.empty() ? "" : fmt::format("; {} steps were taken back", indices.size());
    if (record_.facts.erase(kAborting) > 0) return end_aborted(reason.to_string() + undone);
    return end(state, reason.to_string() + undone, reason);
}

// What has no undo stays; of a step that was cut off nobody knows what it did.
ExecutionRecord ExecutionRun::end_aborted(std::string summary) {
    std::string stays, unjudged;
    for (const std::size_t index : applied_) {
        std::string& list = interrupted_.contains(index) ? unjudged : stays;
        list += fmt::format("{}'{}'", list.empty() ? "" : ", ", name(index));
    }
    if (!stays.empty()) summary += "; what has no undo stays: " + stays;
    if (unjudged.empty()) return end(ExecutionState::kAborted, std::move(summary), std::nullopt);
    summary += "; begun and never judged: " + unjudged;
    Error error = make_error(ErrorCode::kUnknownOutcome, summary, "Look at the servers that these steps name.",
                             Effect::kUnknown);
    return end(ExecutionState::kAborted, std::move(summary), std::move(error));
}

Status ExecutionRun::undo_step(std::size_t index) {
    static_cast<void>(note(index, "undo", "started", step(index).describe()));
    const MonoTime deadline = parts_.env.clock.now() + step(index).spec().timeout;
    StepContext step_context = context_for(index, {deadline, {}, record_.id});
    Status undone = step(index).undo(step_context);
    static_cast<void>(save_facts());
    static_cast<void>(note(index, "undo", undone ? "done" : "failed", undone ? "" : undone.error().to_string(),
                           undone ? Effect::kNone : undone.error().effect));
    return undone;
}

ExecutionRecord ExecutionRun::end(ExecutionState state, std::string summary, std::optional<Error> error) {
    record_.state = state;
    record_.summary = std::move(summary);
    record_.error = std::move(error);
    record_.ended_at.reset();
    if (state != ExecutionState::kAwaitingApproval) record_.ended_at = parts_.env.clock.wall_now();
    const Status saved = save();
    if (saved) return record_;
    parts_.env.log.error("execution.end_not_journaled", {{"execution", record_.id}, {"error", saved.error().to_string()}});
    if (state == ExecutionState::kSucceeded) {
        record_.state = ExecutionState::kUnknown;
        record_.error = wrap_error(saved.error(), "all steps are done, but the journal could not be written");
        record_.summary = record_.error->to_string();
    }
    return record_;
}

Status ExecutionRun::note(std::size_t index, const char* phase, const char* outcome, const std::string& detail,
                          Effect effect) {
    const StepRecord record{record_.id, index,  name(index), phase, outcome, effect, parts_.env.clock.wall_now(),
                            detail};
    Status written = parts_.journal.append_step(record);
    if (!written) {
        parts_.env.log.warning("step.not_journaled", {{"execution", record_.id}, {"step", record.step},
                                                      {"error", written.error().to_string()}});
        // An intent that is not durable is not acted upon; what was seen stays true without the journal.
        if (record.outcome == "started") return written;
    }
    track(record);
    if (parts_.request.on_record) parts_.request.on_record(record);
    return written;
}

Status ExecutionRun::save() {
    AETERNA_TRY(parts_.journal.put_execution(record_));
    saved_facts_ = record_.facts;
    return {};
}

Status ExecutionRun::save_facts() {
    if (record_.facts == saved_facts_) return {};
    return save();
}

StepContext ExecutionRun::context_for(std::size_t index, env::Context context) {
    context.run_id = record_.id;
    return {std::move(context), record_.facts, [this, index](const std::string& line) {
                static_cast<void>(note(index, "progress", "note", line));
            }, parts_.hold.lease(), &proposal_};
}

}  // namespace aeterna::engine
