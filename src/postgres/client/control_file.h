// What a data directory says of its server: global/pg_control, and whether it may run.
#pragma once

#include <string>

#include "env/files.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {

inline constexpr const char* kServerPidFile = "postmaster.pid";  // there while a server runs, and after a crash

// `hint` says what to do when it cannot be read.
[[nodiscard]] Result<ControlFile> read_control_of(env::Files& files, const std::string& data_directory, const std::string& hint);

}  // namespace aeterna::postgres
