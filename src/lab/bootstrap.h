// What the stack needs inside PostgreSQL: the database, our role and the exporter's. Idempotent.
#pragma once

#include "lab/readiness.h"

namespace aeterna::lab {

// On the leader `host`, as superuser. Blocks; in synchronous mode until a standby has it.
Status prepare_database(const CheckContext& lab, int host, const env::Context& context);

}  // namespace aeterna::lab
