// How far the nodes' clocks are from ours. A time that a restore is to go back to is one of the primary's clock, as its commits
// carry it; who names it reads another one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "env/env.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// By node, seconds that its clock is ahead of this machine's (behind: negative), in the middle of one short question; who does
// not answer is left out. Blocks for a second at most for each node.
[[nodiscard]] std::map<std::string, double> ask_clocks(const Settings& settings, const env::Env& env, const env::Context& context);

// One line for each that was off by more than a second. Pure.
[[nodiscard]] std::vector<std::string> clocks_that_are_off(const std::map<std::string, double>& seconds_ahead);

}  // namespace aeterna::postgres
