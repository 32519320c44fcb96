#include "postgres/restore/host_check.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/client/programs.h"
#include "postgres/client/server_programs.h"

namespace aeterna::postgres {
namespace {

// PostgreSQL takes gnu_get_libc_version() for the version of libc's collations (src/backend/utils/adt/pg_locale.c,
// get_collation_actual_version); `getconf GNU_LIBC_VERSION` prints the same: "glibc 2.36".
std::optional<std::string> libc_version(const env::Env& env, const env::Context& context) {
    const auto program = env.processes.find_program("getconf");
    const std::string answer = program ? told_by_program({*program, "GNU_LIBC_VERSION"}, env, context) : std::string();
    const std::size_t space = answer.find(' ');
    if (space == std::string::npos) return std::nullopt;
    return answer.substr(space + 1);
}

void add_missing(std::vector<std::string>& lines, const std::vector<std::string>& names, std::string_view what, std::string_view so) {
    if (!names.empty()) lines.push_back(fmt::format("this machine lacks {} {}: {}", what, join(names, ", "), so));
}

}  // namespace

std::vector<std::string> missing_on_host(const HostNeeds& needs, const HostHas& has) {
    std::vector<std::string> lines, extensions, libraries;
    std::set<std::string> other_versions;
    for (const DatabaseCollation& one : needs.collations) {
        if (one.provider == "libc" && has.libc_version && one.version != *has.libc_version) other_versions.insert(one.version);
    }
    for (const std::string& version : other_versions) {
        lines.push_back(fmt::format("the databases' text is sorted by glibc {}, this machine has {}: indexes over text may be wrong here until "
                                    "they are rebuilt (REINDEX)", version, *has.libc_version));
    }
    for (const auto& [name, version] : needs.extensions) {
        if (has.extensions && !has.extensions->contains(name)) extensions.push_back(fmt::format("{} ({})", name, version));
    }
    for (const std::string& name : needs.libraries) {
        if (has.libraries && !has.libraries->contains(name)) libraries.push_back(name);
    }
    add_missing(lines, extensions, "extensions of the databases:", "what uses them fails until they are installed");
    add_missing(lines, libraries, "libraries of shared_preload_libraries:", "the server does not start without them");
    return lines;
}

HostHas look_at_host(const HostNeeds& needs, const std::string& server_version, const env::Env& env, const env::Context& context) {
    HostHas has;
    has.libc_version = libc_version(env, context);
    const auto programs = find_server_programs(server_version, "", env, context);
    if (!programs) return has;  // the server will run elsewhere
    const std::string config = programs->path("pg_config");
    const std::string shared = told_by_program({config, "--sharedir"}, env, context), libraries = told_by_program({config, "--pkglibdir"}, env, context);
    if (!shared.empty()) {
        has.extensions.emplace();
        for (const auto& [name, version] : needs.extensions) {
            if (env.files.exists(fmt::format("{}/extension/{}.control", shared, name))) has.extensions->insert(name);
        }
    }
    if (!libraries.empty()) {
        has.libraries.emplace();
        for (const std::string& name : needs.libraries) {
            const std::string file = name.starts_with('/') ? name : fmt::format("{}/{}", libraries, name);
            if (env.files.exists(file) || env.files.exists(file + ".so")) has.libraries->insert(name);
        }
    }
    return has;
}

}  // namespace aeterna::postgres
