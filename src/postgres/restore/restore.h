// `restore postgres --into DIR`: a base backup in an empty directory, or over an old state of the cluster, and the
// configuration by which its server, once its owner or Patroni starts it, goes on along the captured WAL to the target.
#pragma once

#include <memory>
#include <vector>

#include "engine/capture/backup.h"
#include "env/env.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Restorer> make_restorer(const env::Env& env);
[[nodiscard]] std::vector<engine::CommandOption> restore_options();

}  // namespace aeterna::postgres
