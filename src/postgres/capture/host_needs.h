// What a machine must have beside PostgreSQL to serve a copy of a cluster rightly: the same version of the collations that
// its indexes are sorted by, the files of its extensions, the libraries that it preloads. A base backup keeps it in its entry.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/env.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// Of a database (pg_database): who sorts its text, and by which version of which rules.
struct DatabaseCollation {
    std::string provider;  // "libc" | "icu"
    std::string locale;
    std::string version;  // as the provider tells it: glibc's own for libc
    auto operator<=>(const DatabaseCollation&) const = default;
};

struct HostNeeds {
    std::vector<DatabaseCollation> collations;      // each once; those without a version (C, POSIX) are the same everywhere
    std::map<std::string, std::string> extensions;  // name, version
    std::vector<std::string> libraries;             // of shared_preload_libraries
    std::vector<std::string> not_asked;             // databases that did not let us in, or were one too many

    [[nodiscard]] bool empty() const { return collations.empty() && extensions.empty() && libraries.empty() && not_asked.empty(); }
};

[[nodiscard]] Json host_needs_json(const HostNeeds& needs);
// Of an entry that has none: nothing.
[[nodiscard]] HostNeeds read_host_needs(const Json& json);
// "'$libdir/pg_stat_statements', auto_explain" as the server shows it. Pure.
[[nodiscard]] std::vector<std::string> parse_library_list(std::string_view text);

// Asks in each database, with our role's rights; what is not answered is left out. Blocks for as many short questions as there are
// databases, a hundred at most.
[[nodiscard]] HostNeeds ask_host_needs(const Settings& settings, const NodeSettings& node, const env::Env& env,
                                       const env::Context& context);

}  // namespace aeterna::postgres
