// `config check` for PostgreSQL: asks every live server whether what the stack file says works, and
// points at settings that cost data or time in a failover. Reads only.
#pragma once

#include <string>
#include <vector>

#include "engine/store.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

[[nodiscard]] std::vector<engine::ConfigFinding> check_config(const Settings& settings,
                                                              const env::Env& env,
                                                              const env::Context& context);

// SQL that creates our role with exactly the rights that we use.
[[nodiscard]] std::string least_privilege(const Settings& settings);

}  // namespace aeterna::postgres
