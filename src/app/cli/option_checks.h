// Readers of option values that several commands share.
#pragma once

#include <string>

#include "base/time.h"

namespace aeterna::app {

// "2026-03-01T10:00:00Z", or an age: "24h" before now. Empty text gives `fallback`.
[[nodiscard]] Result<WallTime> parse_since(const std::string& text, WallTime now, WallTime fallback);

}  // namespace aeterna::app
