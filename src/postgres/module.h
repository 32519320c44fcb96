// PostgreSQL under Patroni as a store of the stack; app/registry.cc lists it.
#pragma once

#include <memory>

#include "engine/store.h"

namespace aeterna::postgres {

[[nodiscard]] std::unique_ptr<engine::StoreModule> make_module();

}  // namespace aeterna::postgres
