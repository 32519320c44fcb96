#include "postgres/client/server_programs.h"

#include <fmt/format.h>

#include <vector>

#include "base/strings.h"
#include "postgres/client/programs.h"

namespace aeterna::postgres {
namespace {

std::optional<int> major_in(const std::string& directory, const env::Env& env, const env::Context& context) {
    const std::string program = directory + "/postgres";
    if (!env.files.exists(program)) return std::nullopt;
    return major_version(told_by_program({program, "-V"}, env, context));
}

}  // namespace

std::optional<int> major_version(std::string_view text) {
    const std::size_t begin = text.find_first_of("0123456789");
    if (begin == std::string_view::npos) return std::nullopt;
    const std::size_t end = text.find_first_not_of("0123456789", begin);
    const auto major = to_integer(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (!major || *major < 1 || *major > 999) return std::nullopt;
    return static_cast<int>(*major);
}

Result<ServerPrograms> find_server_programs(const std::string& server_version, const std::string& given,
                                            const env::Env& env, const env::Context& context) {
    const auto major = major_version(server_version);
    if (!major) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("the backup's server version '{}' is not understood", one_line(server_version)));
    }
    if (!given.empty()) {
        const auto found = major_in(given, env, context);
        if (found == major) return ServerPrograms{given, *major};
        return make_error(ErrorCode::kConfiguration,
                          found ? fmt::format("'{}' has PostgreSQL {}, the backup is of {}", given, *found, *major)
                                : fmt::format("'{}' has no program 'postgres'", given),
                          fmt::format("Name the directory of PostgreSQL {}'s programs (--server-bin).", *major));
    }
    std::vector<std::string> places{fmt::format("/usr/lib/postgresql/{}/bin", *major),
                                    fmt::format("/usr/pgsql-{}/bin", *major), "/usr/local/pgsql/bin"};
    if (const auto config = env.processes.find_program("pg_config")) {
        places.push_back(told_by_program({*config, "--bindir"}, env, context));
    }
    for (const std::string& place : places) {
        if (!place.empty() && major_in(place, env, context) == major) return ServerPrograms{place, *major};
    }
    return make_error(
        ErrorCode::kConfiguration,
        fmt::format("there are no programs of PostgreSQL {} on this machine, which the backup needs", *major),
        fmt::format("Install the package postgresql-{}, or name their directory: --server-bin DIR.", *major));
}

}  // namespace aeterna::postgres
