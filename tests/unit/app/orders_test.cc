#include "app/daemon/orders.h"

#include <gtest/gtest.h>

namespace aeterna::app {
namespace {

using namespace std::chrono_literals;

const WallTime kNoon = from_unix_us(1'772'359'200'000'000);  // 2026-03-01T10:00:00Z

config::Stack two_stores() {
    auto root = config::Section::parse("a: {}", "t.yaml");
    config::Stack stack;
    for (const char* name : {"postgres", "redis"}) stack.stores.push_back(config::StoreSection{name, {}, {}, *root});
    stack.stores[0].assist = config::Assist::kAct;
    return stack;
}

engine::StackStatus status() {
    engine::StackStatus made;
    made.at = kNoon;
    made.stores.resize(2);
    made.stores[0].store = "postgres";
    made.stores[1].store = "redis";
    return made;
}

Orders drilled(const std::string& assist, const std::string& by) {
    Orders orders;
    orders.drill.emplace();
    orders.drill->parameters = {{"assist", assist}, {"assist_by", by}};
    return orders;
}

TEST(Orders, TheLongestWindowOfTheStoreIsNamed) {
    Orders orders;
    orders.windows = {{"maint-1", "redis", "", kNoon - 1h, kNoon + 5min, {}},
                      {"maint-2", "", "disks", kNoon - 1h, kNoon + 10min, {}},
                      {"maint-3", "", "", kNoon - 1h, kNoon + 1h, kNoon - 1min}};
    ASSERT_NE(orders.window_for("redis", kNoon), nullptr);
    EXPECT_EQ(orders.window_for("redis", kNoon)->id, "maint-2");
    EXPECT_EQ(orders.window_for("postgres", kNoon)->id, "maint-2");
    EXPECT_EQ(orders.window_for("postgres", kNoon + 10min), nullptr) << "it ended after the orders were read";
    EXPECT_EQ(describe(orders.windows[1]), "maintenance of every store until 2026-03-01T10:10:00.000Z: disks");
    EXPECT_EQ(describe(orders.windows[0]), "maintenance of redis until 2026-03-01T10:05:00.000Z");
}

TEST(Orders, ADrillSpeaksOnlyWhenItWasTold) {
    EXPECT_EQ(drilled("act", "drill").drill_assist(), config::Assist::kAct);
    EXPECT_EQ(drilled("off", "drill").drill_assist(), config::Assist::kOff);
    EXPECT_FALSE(drilled("act", "stack").drill_assist());
    EXPECT_FALSE(drilled("dance", "drill").drill_assist());
    EXPECT_FALSE(Orders{}.drill_assist());
}

TEST(Annotate, SaysWhatHoldsNow) {
    engine::StackStatus plain = status();
    annotate(plain, two_stores(), {});
    EXPECT_EQ(plain.assist, "act");
    EXPECT_EQ(plain.stores[0].assist, "act");
    EXPECT_EQ(plain.stores[1].assist, "off");
    EXPECT_FALSE(plain.paused);

    engine::StackStatus held = status();
    Orders orders = drilled("off", "drill");
    orders.windows = {{"maint-1", "redis", "disks", kNoon - 1h, kNoon + 5min, {}},
                      {"maint-2", "", "", kNoon - 1h, kNoon, {}}};
    annotate(held, two_stores(), orders);
    EXPECT_EQ(held.assist, "off") << "by the drill";
    EXPECT_TRUE(held.paused);
    EXPECT_FALSE(held.stores[0].paused);
    EXPECT_TRUE(held.stores[1].paused);
    ASSERT_EQ(held.maintenance.size(), 1U) << "the other is over";
    EXPECT_EQ(held.maintenance[0].reason, "disks");
}

}  // namespace
}  // namespace aeterna::app
