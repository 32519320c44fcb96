// Everything that can be restored: from which backups on, how far the captured WAL goes, and what is missing. Reads all WAL
// behind the backups.
#pragma once

#include "engine/capture/backup.h"
#include "repository/repository.h"

namespace aeterna::postgres {

[[nodiscard]] Result<std::vector<engine::RecoveryWindow>> find_recovery_windows(repository::Repository& repository,
                                                                                const env::Context& context);

}  // namespace aeterna::postgres
