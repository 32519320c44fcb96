// Readers of option values that several commands share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"

namespace aeterna::app {

// "2026-03-01T10:00:00Z", or an age: "24h" before now. Empty text gives `fallback`.
[[nodiscard]] Result<WallTime> parse_since(const std::string& text, WallTime now, WallTime fallback);

// The first seed of `runs` in a row; nothing for an empty text. None of them may leave what JSON's integers hold.
[[nodiscard]] Result<std::optional<std::uint64_t>> parse_seed(const std::string& text, std::uint64_t runs);

}  // namespace aeterna::app
