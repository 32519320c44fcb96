// Fencing by a person's hand: the runbooks `fence` and `unfence` of one server. A fence holds the server's nodes down,
// agent first, until it is lifted; an unfence lifts it and starts the agent, or what has none, again.
//
// Steps: hosts.fence | hosts.unfence → hosts.start_node (each of one line in the plan). They know no store: which nodes
// belong together, the caller asks engine::Store::fence_groups().
#pragma once

#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/runbook/step.h"
#include "env/env.h"

namespace aeterna::stack {

// Parameters of `fence`: {"nodes": [NAME…], "reason": TEXT}; of `unfence`: {"nodes": […], "holders": [NAME…],
// "start": true|false}. `store` is the one that the nodes belong to. kNotFound: another name. kUsage: wrong parameters.
// `stack` and `env` must outlive the runbook.
[[nodiscard]] Result<engine::Runbook> make_fencing_runbook(const std::string& name, const std::string& store,
                                                           const Json& parameters, const config::Stack& stack,
                                                           const env::Env& env);

// Whether every one of the nodes can be fenced where it runs; else why not.
Status can_fence(const config::Stack& stack, const std::vector<std::string>& nodes);

}  // namespace aeterna::stack
