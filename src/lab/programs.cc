// See programs.h.
#include "lab/programs.h"

#include <fmt/format.h>

#include <set>

#include "base/strings.h"

namespace aeterna::lab {

Result<Programs> find_programs(const env::Env& env) {
    Programs programs;
    std::set<std::string> packages;
    const auto find = [&](const char* name, const char* package) {
        const auto found = env.processes.find_program(name, {"/usr/bin", "/usr/sbin"});
        if (!found) packages.insert(package);
        return found.value_or("");
    };
    programs.etcd = find("etcd", "etcd-server");
    programs.redis_server = find("redis-server", "redis-server");
    programs.redis_sentinel = find("redis-sentinel", "redis-sentinel");
    programs.haproxy = find("haproxy", "haproxy");
    programs.prometheus = find("prometheus", "prometheus");
    programs.exporter = find("prometheus-postgres-exporter", "prometheus-postgres-exporter");
    programs.python = "/usr/bin/python3";
    programs.patroni = "/usr/bin/patroni";
    if (!env.files.exists(programs.python) || !env.files.exists(programs.patroni))
        packages.insert("patroni");
    for (const char* version : {"15", "16", "17", "14"}) {
        const std::string folder = fmt::format("/usr/lib/postgresql/{}/bin", version);
        if (!env.files.exists(folder + "/postgres")) continue;
        programs.postgres_directory = folder;
        break;
    }
    if (programs.postgres_directory.empty()) packages.insert("postgresql-15");
    programs.self = env.processes.own_executable();
    if (packages.empty()) return programs;
    return make_error(ErrorCode::kNotFound,
                      "missing Debian packages: " + join({packages.begin(), packages.end()}, ", "),
                      "Run 'scripts/install-packages servers' in the source folder; it keeps the "
                      "services from starting.");
}

Result<std::string> find_qdrant(const std::string& option, const env::Env& env) {
    const auto variable = env.files.environment_variable("QDRANT_BIN");
    const std::string wanted = !option.empty() ? option : variable.value_or("");
    if (wanted == kStandInWord) return std::string();
    if (wanted.empty()) {
        const auto found = env.processes.find_program("qdrant");
        return found ? env.files.canonical(*found) : std::string();
    }
    const auto found = env.processes.find_program(wanted);
    if (found) return env.files.canonical(*found);
    return make_error(ErrorCode::kNotFound,
                      fmt::format("no program '{}', named by {}", wanted,
                                  option.empty() ? "$QDRANT_BIN" : "--qdrant"),
                      "Give the path of a Qdrant server, or nothing to use the stand-in.");
}

Result<std::string> find_patroni(const std::string& option, const env::Env& env) {
    const auto found = env.processes.find_program(option);
    if (found) return env.files.canonical(*found);
    return make_error(ErrorCode::kNotFound,
                      fmt::format("no program '{}', named by --patroni", option),
                      "Give the path of a 'patroni' program; scripts/install-patroni4 makes one.");
}

}  // namespace aeterna::lab
