#include "app/cli/option_checks.h"

#include <fmt/format.h>

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

}  // namespace aeterna::app
