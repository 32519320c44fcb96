#include "base/time.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <optional>
#include <string>

namespace aeterna {
namespace {

std::tm utc(WallTime time) {
    const std::time_t seconds =
        std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    return parts;
}

long milliseconds_of(WallTime time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    return static_cast<long>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time - whole).count());
}

// Reads exactly `digits` decimal digits at `position`; false if something else is there.
bool read_digits(std::string_view text, std::size_t position, std::size_t digits, int& value) {
    if (position + digits > text.size()) return false;
    const char* first = text.data() + position;
    const auto [end, code] = std::from_chars(first, first + digits, value);
    return code == std::errc{} && end == first + digits && *first != '-';
}

// ".123" at `position`, which moves behind it; zero where there is none. Beyond nanoseconds digits are dropped.
std::optional<std::chrono::nanoseconds> read_fraction(std::string_view text, std::size_t& position) {
    std::int64_t nanoseconds = 0;
    if (text[position] != '.') return std::chrono::nanoseconds(0);
    const std::size_t first = ++position;
    std::int64_t unit = 100'000'000;
    for (; position < text.size() && text[position] >= '0' && text[position] <= '9'; ++position) {
        nanoseconds += unit * (text[position] - '0');
        unit /= 10;
    }
    if (position == first) return std::nullopt;
    return std::chrono::nanoseconds(nanoseconds);
}

// "Z", "+01:00" or "-05:30", east positive.
std::optional<std::chrono::minutes> read_offset(std::string_view text) {
    if (text == "Z" || text == "z") return std::chrono::minutes(0);
    int hours = 0, minutes = 0;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
        !read_digits(text, 1, 2, hours) || !read_digits(text, 4, 2, minutes) || hours > 23 || minutes > 59) {
        return std::nullopt;
    }
    return std::chrono::minutes((hours * 60 + minutes) * (text[0] == '-' ? -1 : 1));
}

Error bad_time(std::string_view text) {
    return make_error(ErrorCode::kUsage, fmt::format("'{}' is not a time", text),
                      "Write it with an offset, such as 2026-03-01T10:00:00Z.");
}

}  // namespace

Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::string format_time(WallTime time) {
    const std::tm parts = utc(time);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       milliseconds_of(time));
}

std::string format_clock(WallTime time) {
    const std::tm parts = utc(time);
    return fmt::format("{:02}:{:02}:{:02}.{:03}", parts.tm_hour, parts.tm_min, parts.tm_sec,
                       milliseconds_of(time));
}

Result<WallTime> parse_time(std::string_view text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    const bool shape = text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
                       (text[10] == 'T' || text[10] == ' ') && text[13] == ':' && text[16] == ':';
    if (!shape || !read_digits(text, 0, 4, year) || !read_digits(text, 5, 2, month) ||
        !read_digits(text, 8, 2, day) || !read_digits(text, 11, 2, hour) ||
        !read_digits(text, 14, 2, minute) || !read_digits(text, 17, 2, second)) {
        return bad_time(text);
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    // Beyond these years a WallTime's nanoseconds overflow.
    const bool is_representable = year >= 1678 && year <= 2261;
    // 60 is a leap second.
    if (!date.ok() || !is_representable || hour > 23 || minute > 59 || second > 60) return bad_time(text);
    std::size_t position = 19;
    const auto fraction = read_fraction(text, position);
    const auto offset = read_offset(text.substr(position));
    if (!fraction || !offset) return bad_time(text);
    const std::chrono::seconds since_epoch = std::chrono::sys_days(date).time_since_epoch() +
                                             std::chrono::hours(hour) + std::chrono::minutes(minute) +
                                             std::chrono::seconds(second) - *offset;
    return WallTime(since_epoch) + std::chrono::duration_cast<WallTime::duration>(*fraction);
}

std::string format_duration(Duration duration) {
    const double seconds = to_seconds(duration);
    const double size = std::abs(seconds);
    // Each limit is where rounding would reach the next unit ("1000 ms").
    if (size < 0.9995e-3) return fmt::format("{:.0f} us", seconds * 1e6);
    if (size < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
    if (size < 59.95) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<long long>(std::llround(size));
    // The two largest units; the lesser one only when it says something.
    const auto two = [sign = seconds < 0 ? "-" : ""](long long larger, const char* unit, long long lesser,
                                                     const char* lesser_unit) {
        if (lesser == 0) return fmt::format("{}{} {}", sign, larger, unit);
        return fmt::format("{}{} {} {} {}", sign, larger, unit, lesser, lesser_unit);
    };
    if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
    if (whole < 86400) return two(whole / 3600, "h", whole % 3600 / 60, "min");
    return two(whole / 86400, "d", whole % 86400 / 3600, "h");
}

std::string format_duration(double seconds) { return format_duration(from_seconds(seconds)); }

Result<Duration> parse_duration(std::string_view text) {
    double number = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    double scale = 0;
    if (unit == "ms") scale = 1e-3;
    if (unit == "s") scale = 1;
    if (unit == "m" || unit == "min") scale = 60;
    if (unit == "h") scale = 3600;
    if (unit == "d") scale = 86400;
    const bool fits = number >= 0 && number * scale <= 36500.0 * 86400;
    if (code != std::errc{} || scale == 0 || !std::isfinite(number) || !fits) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is not a duration", text),
                          "Write a number with a unit: 500ms, 5s, 15m, 6h or 7d.");
    }
    return from_seconds(number * scale);
}

std::int64_t to_unix_us(WallTime time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

WallTime from_unix_us(std::int64_t microseconds) {
    return WallTime(std::chrono::microseconds(microseconds));
}

}  // namespace aeterna
