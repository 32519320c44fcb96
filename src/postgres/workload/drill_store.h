// PostgreSQL in a drill: the table that the workload fills, the paths to it, and what survived.
#pragma once

#include <memory>

#include "engine/drill/drill_store.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// `settings` and `env` must outlive it.
[[nodiscard]] std::unique_ptr<engine::DrillStore> make_drill_store(const Settings& settings,
                                                                   const env::Env& env);

}  // namespace aeterna::postgres
