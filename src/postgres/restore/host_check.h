// Whether this machine has what a backup's server needs beside PostgreSQL (capture/host_needs.h), said before anything is
// written: PostgreSQL itself tells of a collation only when somebody connects, and of a missing library by not starting.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/env.h"
#include "postgres/capture/host_needs.h"

namespace aeterna::postgres {

// What this machine has of what is asked for; what could not be found out is empty.
struct HostHas {
    std::optional<std::string> libc_version;           // "2.36", as PostgreSQL calls the collations of libc
    std::optional<std::set<std::string>> extensions;   // of those needed
    std::optional<std::set<std::string>> libraries;
};

// One line for each thing that is missing or another one. Pure.
[[nodiscard]] std::vector<std::string> missing_on_host(const HostNeeds& needs, const HostHas& has);

// Looks where the programs of that major version have their files. Reads only.
[[nodiscard]] HostHas look_at_host(const HostNeeds& needs, const std::string& server_version, const env::Env& env,
                                   const env::Context& context);

}  // namespace aeterna::postgres
