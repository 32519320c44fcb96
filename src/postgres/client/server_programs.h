// PostgreSQL's own programs of one major version on this machine.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "env/env.h"

namespace aeterna::postgres {

// 15 of "15.13 (Debian 15.13-0+deb12u1)" and of "postgres (PostgreSQL) 15.13". Nothing in other text. Pure.
[[nodiscard]] std::optional<int> major_version(std::string_view text);

struct ServerPrograms {
    std::string directory;
    int major = 0;
    [[nodiscard]] std::string path(const std::string& program) const { return directory + "/" + program; }
};

// Those that serve data of a server of `server_version` (as SHOW server_version has it): in `given`, else where
// packages put them, else what `pg_config --bindir` says. kConfiguration when that major version is not there.
[[nodiscard]] Result<ServerPrograms> find_server_programs(const std::string& server_version, const std::string& given,
                                                          const env::Env& env, const env::Context& context);

}  // namespace aeterna::postgres
