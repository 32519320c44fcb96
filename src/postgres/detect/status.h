// The store's status out of one World: correct after a single round of looks, without any history.
// Pure.
#pragma once

#include "engine/status.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres {

[[nodiscard]] engine::StoreStatus build_status(const World& world);

// "etcd-2" for the second endpoint of the stack file: an equal number is one host.
[[nodiscard]] std::string etcd_node_name(std::size_t index);

}  // namespace aeterna::postgres
