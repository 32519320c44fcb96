// The door to the Redis chapter: app/registry.cc lists this module.
#pragma once

#include <memory>

#include "engine/store.h"

namespace aeterna::redis {

[[nodiscard]] std::unique_ptr<engine::StoreModule> make_module();

}  // namespace aeterna::redis
