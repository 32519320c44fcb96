// Why is there no new primary yet? Every hindrance that can be seen, most decisive first, with
// numbers. Pure.
#pragma once

#include "postgres/detect/world.h"

namespace aeterna::postgres {

// One line each; empty when nothing hinders (or there is a primary).
[[nodiscard]] std::vector<std::string> explain_stuck(const World& world);

// What a person should do next about it, as one proposal.
[[nodiscard]] std::string propose_next_step(const World& world);

// Why Patroni would not let this node take over (tag, lag, no synchronous standby …); empty: nothing hinders.
[[nodiscard]] std::string takeover_hindrance(const World& world, const NodeSettings& node);

// How far a node is behind the furthest one that is known, by the members' own keys and REST;
// nothing when its position is not known.
[[nodiscard]] std::optional<std::int64_t> candidate_lag(const World& world,
                                                        const std::string& node);

// "25 s" of its lease, or that it is not known.
[[nodiscard]] std::string describe_remaining(const LeaderKey& leader);

}  // namespace aeterna::postgres
