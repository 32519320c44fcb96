// `restore postgres` into an empty directory, from a base backup alone: what pg_ctl, run by the directory's owner,
// brings up as it was when the backup ended.
#pragma once

#include <memory>
#include <vector>

#include "engine/capture/backup.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::Restorer> make_restorer(const env::Env& env);
[[nodiscard]] std::vector<engine::CommandOption> restore_options();

}  // namespace aeterna::postgres
