// global/pg_control of a data directory.
#pragma once

#include <string>

#include "env/files.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {

// `hint` says what to do when it cannot be read.
[[nodiscard]] Result<ControlFile> read_control_of(env::Files& files, const std::string& data_directory, const std::string& hint);

}  // namespace aeterna::postgres
