// Where a random recovery point falls.
#include "engine/restore_test/random_point.h"

#include <gtest/gtest.h>

#include <map>

namespace aeterna::engine {
namespace {

using namespace std::chrono_literals;

const WallTime kDay = *parse_time("2026-03-01T00:00:00Z");

RecoveryWindow window(Duration from, Duration to, std::uint32_t timeline, const std::string& cluster = "7") {
    RecoveryWindow one;
    one.series = "main";
    one.cluster = cluster;
    one.backups = {"b" + std::to_string(timeline)};
    one.timeline = timeline;
    one.earliest = kDay + from;
    one.until = kDay + to;
    return one;
}

TEST(RandomPoint, IsDrawnEvenlyOverTheTimeOfAllWindows) {
    const std::vector<RecoveryWindow> windows = {window(1h, 2h, 1, "6"), window(5h, 8h, 2)};
    std::map<std::string, int> hours, clusters;
    for (std::uint64_t seed = 0; seed < 4000; ++seed) {
        const RandomPoint point = draw_point(windows, seed).value();
        const WallTime at = *parse_time(point.to);
        EXPECT_TRUE((at >= kDay + 1h && at < kDay + 2h) || (at >= kDay + 5h && at < kDay + 8h)) << point.to;
        EXPECT_EQ(point.timeline, at < kDay + 3h ? "1" : "2");
        EXPECT_EQ(point.cluster, at < kDay + 3h ? "6" : "7");
        ++hours[point.to.substr(11, 2)];
    }
    ASSERT_EQ(hours.size(), 4U);
    for (const auto& [hour, count] : hours) EXPECT_NEAR(count, 1000, 120) << hour;
}

TEST(RandomPoint, OfASeedIsTheSame) {
    const std::vector<RecoveryWindow> windows = {window(1h, 2h, 1)};
    EXPECT_EQ(draw_point(windows, 5)->to, draw_point(windows, 5)->to);
    EXPECT_NE(draw_point(windows, 5)->to, draw_point(windows, 6)->to);
}

TEST(RandomPoint, IsWithinTheMillisecondsThatCanBeHad) {
    const auto windows = {window(400us, 2100us, 1)};
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const std::string to = draw_point(windows, seed)->to;
        EXPECT_TRUE(to == "2026-03-01T00:00:00.001Z" || to == "2026-03-01T00:00:00.002Z") << to;
    }
}

TEST(RandomPoint, IsOfWhatWasAskedFor) {
    const auto kept = [](RestoreOrder order) {
        std::vector<RecoveryWindow> windows = {window(1h, 2h, 1, "6"), window(2h, 3h, 1), window(5h, 8h, 2)};
        const Status done = keep_windows(windows, order);
        return done ? static_cast<int>(windows.size()) : -exit_code(done.error().code);
    };
    RestoreOrder order;
    EXPECT_EQ(kept(order), 3);
    order.timeline = "1";
    EXPECT_EQ(kept(order), 2);
    order.cluster = "7";
    EXPECT_EQ(kept(order), 1);
    order.timeline = "9";
    EXPECT_EQ(kept(order), -exit_code(ErrorCode::kNotFound));
    order.timeline = "one";
    EXPECT_EQ(kept(order), -exit_code(ErrorCode::kUsage));
    std::vector<RecoveryWindow> none;
    EXPECT_TRUE(keep_windows(none, {})) << "drawing from nothing has its own words";
}

TEST(RandomPoint, WithoutAnyTimeIsABackupAsItIs) {
    RecoveryWindow alone = window(1h, 1h, 3);
    EXPECT_EQ(draw_point({alone}, 1)->to, "b3");
    EXPECT_EQ(draw_point({alone}, 1)->timeline, "");
    alone.earliest.reset();
    EXPECT_EQ(draw_point({alone}, 1)->to, "b3");
    EXPECT_EQ(draw_point({}, 1).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace aeterna::engine
