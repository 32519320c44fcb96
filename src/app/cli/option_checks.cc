#include "app/cli/option_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::app {

Result<WallTime> parse_since(const std::string& text, WallTime now, WallTime fallback) {
    if (text.empty()) return fallback;
    if (const auto age = parse_duration(text)) {
        return now - std::chrono::duration_cast<WallTime::duration>(*age);
    }
    if (auto time = parse_time(text)) return *time;
    return make_error(ErrorCode::kUsage, fmt::format("--since '{}' is neither a time nor an age", text),
                      "Write a time with its offset (2026-03-01T10:00:00Z) or an age (24h).");
}

Result<std::optional<std::uint64_t>> parse_seed(const std::string& text, std::uint64_t runs) {
    if (text.empty()) return std::optional<std::uint64_t>();
    constexpr std::uint64_t kLargest = INT64_MAX;
    const auto seed = to_integer(text);
    const bool fits = seed && *seed >= 0 && runs <= kLargest && static_cast<std::uint64_t>(*seed) <= kLargest - runs;
    if (fits) return std::optional<std::uint64_t>(static_cast<std::uint64_t>(*seed));
    return make_error(ErrorCode::kUsage, fmt::format("--seed '{}' is no seed", one_line(text)),
                      fmt::format("Write a whole number from 0 to {}.", kLargest - std::min(runs, kLargest)));
}

}  // namespace aeterna::app
