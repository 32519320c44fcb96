// The replication protocol over libpq, behind env/replication.h.
#pragma once

#include <memory>

#include "env/replication.h"

namespace aeterna::env {

// Only beside a PosixEnv, which removes libpq's environment variables from this process.
[[nodiscard]] std::unique_ptr<ReplicationConnector> make_libpq_replication_connector();

}  // namespace aeterna::env
