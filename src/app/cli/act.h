// Acting from a command: a runbook's plan, the leave to run it, the run with its progress, and its outcome as text or
// JSON. Shared by failover, switchover, fence, unfence, restore --in-place and execution; a drill asks for the leave
// alone.
#pragma once

#include <string>
#include <vector>

#include "app/cli/session.h"
#include "engine/runbook/runner.h"

namespace aeterna::app {

struct ActRequest {
    std::string runbook;
    std::string store;
    Json parameters = Json::object();
    bool dry_run = false;
    bool yes = false;
    bool during_maintenance = false;
    bool meets_proposal = false;  // where a running execution of the store proposes to act, this is the yes to it
    std::vector<std::string> notes;  // shown before the plan
    Json source;                     // of a restore, for --json with --dry-run; null: none
};

// kGuardRefused while a maintenance window holds for the store, unless `despite`: then it is said and gone on.
// An empty store means any.
Status check_maintenance(const Session& session, engine::Journal& journal, const std::string& store, bool despite);

// Plan, approval, run. The exit code is that of the execution.
[[nodiscard]] Result<int> act(Session& session, const ActRequest& request);

// Continues a journaled execution; the plan of what is left is approved like a new one.
[[nodiscard]] Result<int> resume_execution(Session& session, const std::string& id, bool yes,
                                           bool during_maintenance);

// The person's yes to an execution that awaits approval: goes on with it. To one that runs and proposes something, it is
// the yes to that. kUsage in any other state.
[[nodiscard]] Result<int> approve_execution(Session& session, const std::string& id);

// Ends one that awaits approval or was interrupted, taking back what has an undo; asks with what that is.
[[nodiscard]] Result<int> abort_execution(Session& session, const std::string& id, bool yes);

// For a run after a plan that took `planned`: what --timeout gives is for both together. A person's thinking is not
// counted, and without --timeout the run has its own budget.
[[nodiscard]] env::Context run_context(const Session& session, Duration planned, Duration budget);

[[nodiscard]] Json execution_to_json(const engine::ExecutionRecord& execution,
                                     const std::vector<engine::StepRecord>& steps);
// "  10:00:00.123  redis.pause_writes  apply  done  …": one line of an execution's history.
[[nodiscard]] std::string step_line(const engine::StepRecord& record);
// The execution's head lines and its error, as text.
[[nodiscard]] std::string execution_text(const engine::ExecutionRecord& execution);

}  // namespace aeterna::app
