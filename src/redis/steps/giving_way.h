// Giving way: an execution that was interrupted finds the old master back, serving, and named by a majority of the
// Sentinels. It stays the master, and the replica that was promoted becomes its replica; what that one took is kept
// before (docs/decisions/018).
#pragma once

#include "redis/steps/assist.h"

namespace aeterna::redis {

// Promoted by a process that has died since, and its guard with it: clients have written to whom the Sentinels name. False for
// one that this process holds, that is fenced, or that came back with next to nothing of what the promoted one has.
[[nodiscard]] bool is_taken_back(Acting& acting, const engine::StepContext& step);
// The same of one whose return this process guards, for whoever has stood still, and the guard with it.
[[nodiscard]] bool serves_by_majority(Acting& acting, const engine::StepContext& step);

// The decision, in the facts: the assist is refused from here on, and kGivesWay names the promoted node where it is
// known. False when there is none.
bool decide_to_give_way(Acting& acting, engine::StepContext& step);

// Carries it out for the node that kGivesWay names, as far as it still holds; says what it could not do.
void give_way(Acting& acting, engine::StepContext& step);

// Both at once, where an interrupted execution goes on: true when it was taken back.
bool give_way_if_taken_back(Acting& acting, engine::StepContext& step);

}  // namespace aeterna::redis
