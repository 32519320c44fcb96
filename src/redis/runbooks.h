// The runbooks of this store as data: names, help, steps in order. No I/O.
#pragma once

#include <string>
#include <vector>

#include "engine/store.h"
#include "redis/steps/assist.h"

namespace aeterna::redis {

[[nodiscard]] std::vector<engine::RunbookInfo> runbook_list();
// kNotFound for an unknown name; kUsage for a parameter that it does not know or a node that does not exist.
[[nodiscard]] Result<engine::Runbook> build_runbook(const std::string& name, const Json& parameters,
                                                    const ActingPointer& acting);

}  // namespace aeterna::redis
