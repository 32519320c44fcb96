// What a fault hits: the present primary's agent and server, asked from the cluster itself at that
// moment.
#pragma once

#include "engine/drill/drill_store.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// The node whose REST claims the role and says that PostgreSQL runs, and whose SQL agrees.
// kUnavailable when nobody or more than one does.
[[nodiscard]] Result<std::string> find_live_primary(const Settings& settings, const env::Env& env,
                                                    const env::Context& context);

// Agent first: an agent that survives would restart its server or give up the lease in an orderly
// way.
[[nodiscard]] Result<engine::FaultTarget> find_fault_target(const Settings& settings,
                                                            const env::Env& env,
                                                            const env::Context& context);

}  // namespace aeterna::postgres
