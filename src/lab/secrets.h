// The lab's passwords: random, made once, one file each in DIR/secrets (0600; 0640 where root lets
// the servers' group read them).
#pragma once

#include <map>
#include <string>

#include "base/secret.h"
#include "env/env.h"
#include "lab/layout.h"

namespace aeterna::lab {

class Secrets {
  public:
    // Reads the files; makes those that are missing. With `group` they become that owner's, readable
    // for its group: root's with the group of the servers' user.
    [[nodiscard]] static Result<Secrets> load_or_make(const Layout& layout, const env::Env& env,
                                                      const std::optional<env::Owner>& group);
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
