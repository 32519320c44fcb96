// The leave of an assisted failover: the word "assist" among its runbook's parameters, or a person's yes to what it proposes.
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "config/stack.h"
#include "engine/runbook/step.h"

namespace aeterna::engine {

// Fact: who said yes to what was proposed.
inline constexpr const char* kApprovedByFact = "assist_approved_by";

// The parameter "assist": off, propose or act, off without one; kUsage for anything else.
[[nodiscard]] Result<config::Assist> assist_parameter(const Json& parameters);
// Whether somebody has said yes to what the step proposes; the fact above says who from then on.
[[nodiscard]] bool take_approval(StepContext& step);
// Whether anything may be changed at all.
[[nodiscard]] bool may_act(config::Assist assist, const Json& facts);
// For the condition() of a step that needs the leave: its own condition, behind the yes where one is asked for.
[[nodiscard]] std::string assist_condition(config::Assist assist, const std::string& own);

}  // namespace aeterna::engine
