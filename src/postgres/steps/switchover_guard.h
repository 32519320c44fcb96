// May a planned switchover lose nothing now? Pure; asked before anything is touched and again right
// before.
#pragma once

#include "postgres/detect/world.h"

namespace aeterna::postgres {

// Every reason against it, one line each; empty: it may be done. `candidate`: node name.
[[nodiscard]] std::vector<std::string> switchover_hindrances(const World& world,
                                                             const std::string& candidate);

// The best node to take over: in synchronous mode a synchronous standby, else the one with the
// smallest lag; a node that nothing hinders is preferred. Empty when there is no other node.
[[nodiscard]] std::string choose_candidate(const World& world);

}  // namespace aeterna::postgres
