// Fences that stand at least as long as we act.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "hosts/executor.h"

namespace aeterna::engine {

// The nodes are held down by another execution or by a person, in a line for people: both lift a fence with the actor lock
// alone, which we hold. Nothing: by nobody, by the execution `own`, or by a drill, which lifts its own while we wait; nor where
// the host does not tell.
[[nodiscard]] std::optional<std::string> find_foreign_fence(hosts::Executor& executor, const std::vector<std::string>& nodes,
                                                            const std::string& own, const env::Context& context);

}  // namespace aeterna::engine
