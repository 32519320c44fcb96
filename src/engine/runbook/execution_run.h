// ExecutionRun: one drive of one execution, from its next step to an end. The invariants:
// - nothing is applied or undone before the journal says, durably, that it will be;
// - an apply that began and is not judged yet is never taken for undone: check (after a crash) or verify (now) judges;
// - once undoing has begun (facts "runner.unwinding" is durable), no later drive goes forward again;
// - without the actor lock nothing is applied or undone.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/runbook/actor_lock.h"
#include "engine/runbook/journal.h"
#include "engine/runbook/proposal.h"
#include "engine/runbook/runner.h"
#include "engine/runbook/step.h"

namespace aeterna::engine {

// True when resume() may go on with it: running, awaiting approval, unknown, or with an unfinished undo.
[[nodiscard]] bool is_resumable(const ExecutionRecord& execution);

// Whether the process that drives it lives, however long it takes. False also for one that has ended.
[[nodiscard]] bool is_driven(const ExecutionRecord& execution, const env::Env& env);

// From now on it is this process that drives it.
void mark_as_driven(ExecutionRecord& execution, const env::Env& env);

// The next drive takes back what has an undo and ends as aborted, whoever drives it.
void mark_for_abort(ExecutionRecord& execution);

class ExecutionRun {
  public:
    // What a drive works with; all of it outlives the drive.
    struct Parts {
        Journal& journal;
        const ActorLockHold& hold;
        const env::Env& env;
        Runbook& runbook;
        const RunRequest& request;
    };
    ExecutionRun(Parts parts, ExecutionRecord record, const env::Context& context);

    // What the journal knows of earlier drives: which steps were applied and not undone.
    void replay(const std::vector<StepRecord>& history);
    [[nodiscard]] ExecutionRecord drive();
    // Whether a step was begun behind which nothing before it is taken back.
    [[nodiscard]] bool has_passed_no_return() const;

  private:
    // Why a drive ends before the last step.
    struct Stop {
        enum class Kind { kFailed, kRefused, kAwaitingApproval, kUnknown };
        Kind kind = Kind::kFailed;
        Error error;
    };
    using MaybeStop = std::optional<Stop>;

    [[nodiscard]] MaybeStop run_step(std::size_t index);
    [[nodiscard]] MaybeStop check_step(std::size_t index, StepContext& step_context, bool& done);
    [[nodiscard]] MaybeStop apply_step(std::size_t index, StepContext& step_context);
    [[nodiscard]] MaybeStop verify_step(std::size_t index, StepContext& step_context,
                                        const std::optional<Error>& apply_error);
    [[nodiscard]] MaybeStop finish_step(std::size_t index);
    // Cancelled, out of time?
    [[nodiscard]] MaybeStop gate(std::size_t index) const;
    [[nodiscard]] Stop stop_before_judgement(std::size_t index, Error error) const;
    [[nodiscard]] Status ask_verify(std::size_t index, StepContext& step_context);

    [[nodiscard]] ExecutionRecord conclude(Stop stop);
    [[nodiscard]] ExecutionRecord unwind();
    // After everything that has an undo was taken back.
    [[nodiscard]] ExecutionRecord end_aborted(std::string summary);
    [[nodiscard]] Status undo_step(std::size_t index);
    [[nodiscard]] ExecutionRecord end(ExecutionState state, std::string summary, std::optional<Error> error);
    [[nodiscard]] std::vector<std::size_t> steps_to_undo() const;

    Status note(std::size_t index, const char* phase, const char* outcome, const std::string& detail,
                Effect effect = Effect::kNone);
    void track(const StepRecord& record);
    Status save();
    Status save_facts();
    [[nodiscard]] Step& step(std::size_t index) const { return *parts_.runbook.steps[index]; }
    [[nodiscard]] std::string name(std::size_t index) const { return std::string(step(index).spec().name); }
    [[nodiscard]] StepContext context_for(std::size_t index, env::Context context);

    Parts parts_;
    ExecutionRecord record_;
    JournaledProposal proposal_;
    env::Context context_;
    Json saved_facts_;
    std::set<std::size_t> applied_;      // begun by us, not proven ineffective, not undone
    std::set<std::size_t> interrupted_;  // of those, the ones an earlier drive left without a judgement
    bool was_applied_ = false;           // the step being applied had been in applied_ before
};

}  // namespace aeterna::engine
