// The lab's passwords: random, made once, one file each in DIR/secrets (0600).
#pragma once

#include <map>
#include <string>

#include "base/secret.h"
#include "env/env.h"
#include "lab/layout.h"

namespace aeterna::lab {

class Secrets {
  public:
    // Reads the files; makes those that are missing. Their owner is `owner` when given (root hands
    // them to the servers' user).
    [[nodiscard]] static Result<Secrets> load_or_make(const Layout& layout, const env::Env& env,
                                                      const std::optional<env::Owner>& owner);
    // Of fixed values, for tests.
    explicit Secrets(std::map<std::string, Secret> values) : values_(std::move(values)) {}

    // postgres_superuser, postgres_replication, postgres_rewind, postgres_aeterna_dr,
    // postgres_exporter, redis, qdrant. Letters and digits only.
    [[nodiscard]] const std::string& reveal(const std::string& name) const;
    [[nodiscard]] Secret secret(const std::string& name) const { return Secret(reveal(name)); }

  private:
    std::map<std::string, Secret> values_;
};

}  // namespace aeterna::lab
