// A person's yes to what a running execution proposes: `serve` drives it and holds the actor lock, so the yes is asked of
// it through the journal, and what it then does is followed to its end.
#pragma once

#include <string>

#include "app/cli/session.h"

namespace aeterna::app {

// The execution of `store` that proposes something at this moment; nothing when none does.
[[nodiscard]] Result<std::optional<engine::ExecutionRecord>> find_proposal(engine::Journal& journal, const env::Env& env,
                                                                           const std::string& store);

// "the proposal of failover postgres (execution …)".
[[nodiscard]] std::string describe_proposal(const engine::ExecutionRecord& execution);

// Shows what is proposed and asks. Then the execution as it ended. kUsage when it was settled meanwhile; kUnknownOutcome
// when whoever drives it has died, or has not ended it in time.
[[nodiscard]] Result<engine::ExecutionRecord> approve_proposal(const Session& session, engine::Journal& journal,
                                                               const engine::ExecutionRecord& execution, bool yes);

}  // namespace aeterna::app
