// `config check` for Qdrant: asks the live servers whether the stack file fits them, and what they
// are set up to lose.
#pragma once

#include "engine/store.h"
#include "qdrant/settings.h"

namespace aeterna::qdrant {

[[nodiscard]] std::vector<engine::ConfigFinding> check_config(const Settings& settings,
                                                              const env::Env& env,
                                                              const env::Context& context);
[[nodiscard]] std::string least_privilege();

}  // namespace aeterna::qdrant
