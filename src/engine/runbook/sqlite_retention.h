// What the journal forgets. What may go and what stays: Journal::prune.
#pragma once

#include <cstddef>

#include "engine/runbook/sqlite.h"

namespace aeterna::engine::sqlite {

[[nodiscard]] Result<std::size_t> prune_journal(Connection& connection, WallTime before);

}  // namespace aeterna::engine::sqlite
