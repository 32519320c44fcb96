// Times and durations as text: what is read, what is refused, and that nothing changes on the way back.
#include "base/time.h"

#include <gtest/gtest.h>

namespace aeterna {
namespace {

// 2026-03-01T10:00:00Z
constexpr std::int64_t kTenOClock = 1772359200;

struct GoodTime {
    const char* text;
    std::int64_t unix_us;
};

TEST(ParseTime, ReadsRfc3339) {
    constexpr std::int64_t kSecond = 1'000'000;
    const GoodTime cases[] = {
        {"2026-03-01T10:00:00Z", kTenOClock * kSecond},
        {"2026-03-01 10:00:00z", kTenOClock * kSecond},
        {"2026-03-01T11:00:00+01:00", kTenOClock * kSecond},
        {"2026-03-01T04:30:00-05:30", kTenOClock * kSecond},
        {"2026-02-28T23:00:00-11:00", kTenOClock * kSecond},
        {"2026-03-01T10:00:00.5Z", kTenOClock * kSecond + 500'000},
        {"2026-03-01T10:00:00.000001Z", kTenOClock * kSecond + 1},
        {"2026-03-01T10:00:00.123456789123Z", kTenOClock * kSecond + 123'456},
        {"2026-03-01T11:00:00.25+01:00", kTenOClock * kSecond + 250'000},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.5Z", -500'000},
        {"2024-02-29T00:00:00Z", 1709164800 * kSecond},
        {"2016-12-31T23:59:60Z", 1483228800 * kSecond},  // a leap second is the next day's first
        {"2261-12-31T23:59:59Z", 9214646399 * kSecond},
    };
    for (const GoodTime& each : cases) {
        const auto time = parse_time(each.text);
        ASSERT_TRUE(time) << each.text;
        EXPECT_EQ(to_unix_us(*time), each.unix_us) << each.text;
    }
}

TEST(ParseTime, RefusesWhatIsNoInstant) {
    const char* cases[] = {
        "", "now", "2026-03-01", "2026-03-01T10:00:00", "2026-03-01T10:00:00.5",  // no offset: whose ten o'clock?
        "2026-03-01T10:00Z", "2026-04-31T10:00:00Z", "2025-02-29T10:00:00Z", "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z", "2026-03-00T10:00:00Z", "2026-03-32T10:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T10:60:00Z", "2026-03-01T10:00:61Z", "2026-03-01T10:00:00.Z", "2026-03-01T10:00:00ZZ",
        "2026-03-01T10:00:00+1:00", "2026-03-01T10:00:00+0100", "2026-03-01T10:00:00+24:00",
        "2026-03-01T10:00:00+01:60", "2026-03-01T10:00:00 Z", "2026-03-01T-1:00:00Z", "2026-3-001T10:00:00Z",
        "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z",
    };
    for (const char* text : cases) {
        const auto time = parse_time(text);
        ASSERT_FALSE(time) << text;
        EXPECT_EQ(time.error().code, ErrorCode::kUsage) << text;
        EXPECT_FALSE(time.error().hint.empty()) << text;
    }
}

TEST(FormatTime, ComesBackFromItsText) {
    for (const std::int64_t milliseconds : {std::int64_t{0}, std::int64_t{-1}, kTenOClock * 1000,
                                            kTenOClock * 1000 + 999, std::int64_t{4102444799001}}) {
        const WallTime time = from_unix_us(milliseconds * 1000);
        const auto again = parse_time(format_time(time));
        ASSERT_TRUE(again) << format_time(time);
        EXPECT_EQ(to_unix_us(*again), milliseconds * 1000);
    }
    EXPECT_EQ(format_time(from_unix_us(kTenOClock * 1'000'000 + 123'999)), "2026-03-01T10:00:00.123Z");
    EXPECT_EQ(format_time(from_unix_us(-1000)), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(format_clock(from_unix_us(kTenOClock * 1'000'000 + 7'000)), "10:00:00.007");
}

struct GoodDuration {
    const char* text;
    Duration duration;
};

TEST(ParseDuration, NeedsANumberAndAUnit) {
    const GoodDuration good[] = {
        {"500ms", 500ms}, {"5s", 5s}, {"15m", 15min}, {"15min", 15min}, {"6h", 6h}, {"7d", 168h},
        {"1.5s", 1500ms}, {"0s", 0s}, {"36500d", 876000h},
    };
    for (const GoodDuration& each : good) {
        const auto duration = parse_duration(each.text);
        ASSERT_TRUE(duration) << each.text;
        EXPECT_EQ(*duration, each.duration) << each.text;
    }
    for (const char* text : {"", "5", "s", "5 s", "-5s", "5sec", "5S", "0x10s", "infs", "nans", "36501d", "1e300d",
                             "5s ", "5s6", "1h30m"}) {
        const auto duration = parse_duration(text);
        ASSERT_FALSE(duration) << text;
        EXPECT_EQ(duration.error().code, ErrorCode::kUsage) << text;
    }
}

TEST(FormatDuration, PicksTheUnitThatReadsBest) {
    const std::pair<Duration, const char*> cases[] = {
        {0ns, "0 us"}, {999us, "999 us"}, {999900ns, "1 ms"}, {1ms, "1 ms"}, {350ms, "350 ms"},
        {999ms, "999 ms"}, {999900us, "1.0 s"}, {1s, "1.0 s"}, {1234ms, "1.2 s"}, {59900ms, "59.9 s"},
        {59960ms, "1 min"}, {250s, "4 min 10 s"}, {3599600ms, "1 h"}, {1h + 59s, "1 h"},
        {6h + 5min, "6 h 5 min"}, {24h, "1 d"}, {170h, "7 d 2 h"}, {-1500ms, "-1.5 s"}, {-90s, "-1 min 30 s"},
    };
    for (const auto& [duration, text] : cases) EXPECT_EQ(format_duration(duration), text);
}

TEST(Seconds, ConvertBothWays) {
    EXPECT_EQ(from_seconds(1.5), 1500ms);
    EXPECT_DOUBLE_EQ(to_seconds(250ms), 0.25);
    EXPECT_EQ(to_unix_us(from_unix_us(-7)), -7);
}

}  // namespace
}  // namespace aeterna
