// Runner: runs a runbook step by step under the actor lock, journaling before acting; resumes after a crash.
#pragma once

#include <functional>
#include <string>

#include "engine/runbook/actor_lock.h"
#include "engine/runbook/journal.h"
#include "engine/runbook/step.h"

namespace aeterna::engine {

struct RunRequest {
    Json parameters = Json::object();
    std::string trigger = "cli";
    Duration budget = kUsualBudget;
    std::function<void(const StepRecord&)> on_record;  // progress for the terminal; may be empty
};

class Runner {
  public:
    Runner(Journal& journal, ActorLock& lock, const env::Env& env);

    // A new execution. The result's state and error tell the outcome; an Error is returned only when nothing was
    // begun (journal not writable, kLocked).
    [[nodiscard]] Result<ExecutionRecord> run(Runbook& runbook, const RunRequest& request,
                                              const env::Context& context);
    // Continues a journaled one from its next step. kUsage when it has ended.
    [[nodiscard]] Result<ExecutionRecord> resume(ExecutionRecord execution, Runbook& runbook,
                                                 const RunRequest& request, const env::Context& context);
    // Ends a journaled one that waits or was interrupted, by a person's hand: takes back what has an undo. Without its
    // runbook (nullptr), or when this version's has other steps, nothing is taken back. The result is kAborted, with an
    // error where something stays that nobody has judged. kUsage when it has ended.
    [[nodiscard]] Result<ExecutionRecord> abort(const ExecutionRecord& execution, Runbook* runbook,
                                                const RunRequest& request, const env::Context& context);
    // What run() would do, one line per step; asks every check(), changes nothing, journals nothing.
    [[nodiscard]] std::vector<std::string> plan(Runbook& runbook, const env::Context& context);

  private:
    // As the journal has it, under the lock. kNotFound, kUsage when it has ended.
    [[nodiscard]] Result<ExecutionRecord> load_resumable(const std::string& id);

    Journal& journal_;
    ActorLock& lock_;
    const env::Env& env_;
};

// Exit code of a finished execution, by the contract.
[[nodiscard]] int exit_code_of(const ExecutionRecord& execution);

}  // namespace aeterna::engine
