// A lock file that others hold for moments only.
#pragma once

#include <memory>
#include <string>

#include "env/env.h"

namespace aeterna::engine {

// kLocked when it is still held at the deadline or when stopped.
[[nodiscard]] Result<std::unique_ptr<env::FileLock>> await_lock(const std::string& path, const env::Env& env,
                                                                const env::Context& context);

}  // namespace aeterna::engine
