// "postgresql://USER@HOST:PORT/DATABASE?sslmode=…": a server named on the command line. Pure.
#pragma once

#include <string>

#include "env/sql.h"

namespace aeterna::postgres {

[[nodiscard]] bool is_server_url(const std::string& text);
// Host and database must be named; the port is 5432 where none is. kUsage, also for a password: it would stand in the
// list of processes for everybody.
[[nodiscard]] Result<env::SqlTarget> parse_server_url(const std::string& text);

}  // namespace aeterna::postgres
