// The Qdrant store behind the engine's contracts.
#pragma once

#include <memory>

#include "engine/store.h"

namespace aeterna::qdrant {

[[nodiscard]] std::unique_ptr<engine::StoreModule> make_module();

}  // namespace aeterna::qdrant
