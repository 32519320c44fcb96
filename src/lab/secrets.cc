// See secrets.h.
#include "lab/secrets.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/strings.h"

namespace aeterna::lab {
namespace {

constexpr const char* kNames[] = {"postgres_superuser",
                                  "postgres_replication",
                                  "postgres_rewind",
                                  "postgres_aeterna_dr",
                                  "postgres_exporter",
                                  "redis",
                                  "qdrant"};

}  // namespace

Result<Secrets> Secrets::load_or_make(const Layout& layout, const env::Env& env,
                                      const std::optional<env::Owner>& group) {
    std::map<std::string, Secret> values;
    const int mode = group ? 0640 : 0600;
    for (const char* name : kNames) {
        const std::string file = layout.secret_file(name);
        if (!env.files.exists(file)) {
            const std::string made =
                fmt::format("{:016x}{:016x}", env.random.next(), env.random.next());
            AETERNA_TRY(env.files.write_durable(file, made, mode));
        }
        if (group) {
            AETERNA_TRY(env.files.change_owner(file, *group));
            AETERNA_TRY(env.files.change_mode(file, mode));
        }
        AETERNA_ASSIGN(const std::string text, env.files.read(file, 4096));
        values.emplace(name, Secret(std::string(trim(text))));
    }
    return Secrets(std::move(values));
}

const std::string& Secrets::reveal(const std::string& name) const {
    const auto found = values_.find(name);
    AETERNA_CHECK(found != values_.end());
    return found->second.reveal();
}

}  // namespace aeterna::lab
