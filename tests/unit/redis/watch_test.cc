// Status after one round, transitions, and the filter of repeated events.
#include <gtest/gtest.h>

#include "fixtures.h"
#include "redis/detect/monitor.h"

namespace aeterna::redis {
namespace {

using engine::Health;
using namespace testing;

Snapshot one_round() {
    Snapshot snapshot;
    snapshot.settings = make_settings();
    snapshot.now = MonoTime(1000s);
    for (int n = 1; n <= 3; ++n) {
        auto& node = snapshot.nodes["redis-" + std::to_string(n)];
        node.latest = n == 1 ? master_seen(1000) : replica_seen(1, "connected", 900);
        auto& sentinel = snapshot.sentinels["sentinel-" + std::to_string(n)];
        sentinel.latest = sentinel_seen(opinion_on(1));
        node.latest->at = sentinel.latest->at = snapshot.now;
        node.first_try = node.last_answer = sentinel.first_try = sentinel.last_answer = snapshot.now;
    }
    return snapshot;
}

TEST(Status, IsRightAfterOneRound) {
    const auto status = make_status(one_round());
    EXPECT_EQ(status.health, Health::kOk) << (status.reasons.empty() ? "" : status.reasons.front());
    EXPECT_EQ(status.primary, "redis-1");
    ASSERT_EQ(status.nodes.size(), 6U);
    EXPECT_EQ(status.nodes[1].role, "replica");
    EXPECT_EQ(status.nodes[1].lag_bytes, 100);
    EXPECT_EQ(status.nodes[5].kind, "sentinel");
    EXPECT_EQ(status.extra.at("sentinel_master"), "redis-1");
}

TEST(Status, SaysWhatIsWrong) {
    Snapshot snapshot = one_round();
    auto& master = *snapshot.nodes["redis-1"].latest;
    master.error = make_error(ErrorCode::kConnectionRefused, "refused");
    EXPECT_EQ(make_status(snapshot).health, Health::kDown);
    EXPECT_EQ(make_status(snapshot).primary, std::nullopt);
    EXPECT_EQ(make_status(snapshot).nodes[0].state, "stopped");

    snapshot = one_round();
    snapshot.nodes["redis-2"].latest = replica_seen(1, "connect");
    snapshot.nodes["redis-2"].latest->at = snapshot.now;
    EXPECT_EQ(make_status(snapshot).health, Health::kDegraded);
    EXPECT_EQ(make_status(snapshot).reasons.size(), 1U);

    snapshot = one_round();
    snapshot.nodes["redis-1"].latest->info.is_loading = true;
    EXPECT_EQ(make_status(snapshot).nodes[0].state, "loading");
    EXPECT_EQ(make_status(snapshot).reasons.at(1), "redis-1 loads its data");

    snapshot = one_round();
    snapshot.isolated = true;
    EXPECT_EQ(make_status(snapshot).health, Health::kUnknown);

    Snapshot nothing;
    nothing.settings = make_settings();
    EXPECT_EQ(make_status(nothing).health, Health::kUnknown);

    snapshot = one_round();
    snapshot.now += 10s;
    EXPECT_EQ(make_status(snapshot).health, Health::kDown) << "stale observations are silence";
}

HeardEvent heard(const std::string& sentinel, Duration at, const std::string& name = "+sdown",
                 const std::string& text = "master m 10.0.0.1 6379") {
    return {sentinel, MonoTime(at), {}, parse_event(name, text)};
}

TEST(EventFilter, DropsWhatOtherSentinelsRepeat) {
    EventFilter filter;
    EXPECT_TRUE(filter.is_news(heard("sentinel-1", 1s)));
    EXPECT_FALSE(filter.is_news(heard("sentinel-2", 2s)));
    EXPECT_FALSE(filter.is_news(heard("sentinel-3", 3s)));
    EXPECT_TRUE(filter.is_news(heard("sentinel-1", 4s))) << "the same Sentinel again: it happened again";
    EXPECT_FALSE(filter.is_news(heard("sentinel-2", 5s)));
    EXPECT_TRUE(filter.is_news(heard("sentinel-2", 60s))) << "long after";
    EXPECT_TRUE(filter.is_news(heard("sentinel-3", 60s, "+new-epoch", "8")));
    EXPECT_TRUE(filter.is_news(heard("sentinel-1", 61s, "+odown", "master m 10.0.0.1 6379 #quorum 2/2")));
    EXPECT_FALSE(filter.is_news(heard("sentinel-2", 61s, "+odown", "master m 10.0.0.1 6379 #quorum 3/2")));
}

TEST(Board, KeepsOdownUntilItIsTakenBackAndIgnoresOtherMasters) {
    Board board(make_settings());
    board.post_event(heard("sentinel-1", 1s, "+odown", "master other 10.0.0.9 6379 #quorum 2/2"));
    EXPECT_FALSE(board.snapshot().sentinels.at("sentinel-1").odown);
    EXPECT_TRUE(board.take_events().empty());
    board.post_event(heard("sentinel-1", 1s, "+odown", "master m 10.0.0.1 6379 #quorum 2/2"));
    EXPECT_EQ(board.snapshot().sentinels.at("sentinel-1").odown, node_address(1));
    board.post_event(heard("sentinel-1", 2s, "+switch-master", "m 10.0.0.1 6379 10.0.0.2 6379"));
    EXPECT_FALSE(board.snapshot().sentinels.at("sentinel-1").odown);
    const auto events = board.take_events();
    ASSERT_EQ(events.size(), 2U);
    EXPECT_EQ(events[0].kind, "sentinel.odown");
    EXPECT_EQ(events[0].subject, "redis-1");
    EXPECT_EQ(events[1].kind, "sentinel.switch-master");
    EXPECT_EQ(events[1].subject, "redis-2");
}

TEST(Board, ALaterOpinionWithoutOdownTakesItBack) {
    SentinelOpinion down = opinion_on(1);
    down.master.flags.insert("o_down");
    const std::tuple<Duration, SentinelOpinion, bool> table[] = {
        {900ms, opinion_on(1), true},  // asked before the event
        {1100ms, opinion_on(1), false},
        {1100ms, opinion_on(2), false},
        {1100ms, down, true},
    };
    for (const auto& [began, opinion, is_kept] : table) {
        Board board(make_settings());
        board.post_event(heard("sentinel-1", 1s, "+odown", "master m 10.0.0.1 6379 #quorum 2/2"));
        SentinelObservation seen = sentinel_seen(opinion);
        seen.began = MonoTime(began);
        seen.at = MonoTime(1200ms);
        board.post_sentinel("sentinel-1", seen);
        EXPECT_EQ(board.snapshot().sentinels.at("sentinel-1").odown.has_value(), is_kept);
    }
    Board board(make_settings());
    board.post_event(heard("sentinel-1", 1s, "+odown", "master m 10.0.0.1 6379 #quorum 2/2"));
    SentinelObservation failed;
    failed.error = make_error(ErrorCode::kTimeout, "silent");
    failed.began = failed.at = MonoTime(2s);
    board.post_sentinel("sentinel-1", failed);
    EXPECT_TRUE(board.snapshot().sentinels.at("sentinel-1").odown) << "silence takes nothing back";
}

}  // namespace
}  // namespace aeterna::redis
