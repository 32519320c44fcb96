// Time as values: monotonic and wall instants, durations, their text forms. Nothing here reads a clock.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aeterna {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;
using namespace std::chrono_literals;

[[nodiscard]] constexpr double to_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}
[[nodiscard]] Duration from_seconds(double seconds);

// "2026-03-01T10:00:00.123Z", UTC, millisecond resolution.
[[nodiscard]] std::string format_time(WallTime time);
// "10:00:00.123", UTC.
[[nodiscard]] std::string format_clock(WallTime time);
// RFC 3339 with a mandatory offset; anything else is kUsage.
[[nodiscard]] Result<WallTime> parse_time(std::string_view text);

// "1.2 s", "350 ms", "4 min 10 s": for people.
[[nodiscard]] std::string format_duration(Duration duration);
[[nodiscard]] std::string format_duration(double seconds);
// "500ms", "5s", "15m", "6h", "7d"; a bare number is refused (kUsage): units must be said.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

// Microseconds since the Unix epoch and back: the journal's and the ledger's form.
[[nodiscard]] std::int64_t to_unix_us(WallTime time);
[[nodiscard]] WallTime from_unix_us(std::int64_t microseconds);

}  // namespace aeterna
