// What `config check` says about a store's `assist`: what the word implies, and whether the hosts can be fenced at all.
// Pure: it reads the stack file, not the hosts.
#pragma once

#include <vector>

#include "config/stack.h"
#include "engine/store.h"

namespace aeterna::app {

[[nodiscard]] std::vector<engine::ConfigFinding> check_assist(const config::Stack& stack, const engine::Store& store);

}  // namespace aeterna::app
