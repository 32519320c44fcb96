// The steps of a switchover against servers in memory: who may be taken for the promoted node, what is refused, how
// long writes stay paused.
#include <gtest/gtest.h>

#include "fake_servers.h"
#include "redis/check_config.h"
#include "redis/rights.h"
#include "redis/workload/redis_drill_store.h"

namespace aeterna::redis {
namespace {

using namespace testing;

class Switchover : public ::testing::Test {
  protected:
    engine::StepContext step() { return {servers.fake.clock.context(10min), facts, [](const std::string&) {}}; }
    Status check(const std::string& candidate = "") {
        auto context = step();
        const auto outcome = make_check_switchover(servers.cluster, candidate)->check(context);
        return outcome ? Status() : Status(outcome.error());
    }
    Status apply(StepPointer made) {
        auto context = step();
        return made->apply(context);
    }
    const RedisNode* promoted() { return find_promoted(*servers.cluster, facts, servers.fake.clock.context()); }

    FakeServers servers;
    Json facts = Json::object();
};

TEST_F(Switchover, RemembersTheProofs) {
    ASSERT_TRUE(check());
    EXPECT_EQ(facts[kOldMaster], "redis-1");
    EXPECT_EQ(facts[kReplicas], Json({"redis-2", "redis-3"}));
    EXPECT_EQ(facts[kOldReplid], "history-1");
    EXPECT_EQ(facts[kOldEpoch], 5);
}

TEST_F(Switchover, NeedsEveryNodeAndEveryLink) {
    const std::tuple<const char*, bool, std::function<void(FakeNode&)>> table[] = {
        {"away", false, [](FakeNode& node) { node.is_refusing = true; }},
        {"another master", false, [](FakeNode& node) { node.follows = 0; }},
        {"unlinked, better priority", false, [](FakeNode& node) { node.link = "connect"; node.priority = 1; }},
        {"follows another", false, [](FakeNode& node) { node.follows = 2; }},
        {"unlinked, never chosen", true, [](FakeNode& node) { node.link = "connect"; node.priority = 0; }},
    };
    for (const auto& [what, is_good, change] : table)
        for (const char* candidate : {"", "redis-2"}) {
            servers.nodes[3] = FakeNode{1};
            change(servers.nodes[3]);
            facts = Json::object();
            servers.cluster = std::make_shared<Cluster>(servers.settings, servers.env);
            const Status status = check(candidate);
            EXPECT_EQ(status.has_value(), is_good) << what << " " << candidate;
            if (!status) {
                EXPECT_EQ(status.error().code, ErrorCode::kGuardRefused) << what;
            }
            EXPECT_EQ(facts.contains(kReplicas), is_good) << what;
        }
}

TEST_F(Switchover, AStaleFormerMasterIsNotThePromotedNode) {
    ASSERT_TRUE(check());
    servers.nodes[3].follows = 0;  // restarted: a history of its own, after some old one
    servers.nodes[3].replid = "history-of-3";
    servers.nodes[3].replid2 = "history-0";
    EXPECT_EQ(promoted(), nullptr);
    servers.sentinels[2].names = 3;
    EXPECT_EQ(promoted(), nullptr) << "one Sentinel's word, not the acting one's";
    facts[kActingSentinel] = "sentinel-2";
    ASSERT_NE(promoted(), nullptr);
    facts.erase(kActingSentinel);
    servers.sentinels[1].names = 3;
    ASSERT_NE(promoted(), nullptr) << "a majority's";
    facts[kReplicas] = Json({"redis-2"});
    EXPECT_EQ(promoted(), nullptr) << "it was no replica before";
}

TEST_F(Switchover, AnHeirIsThePromotedNode) {
    ASSERT_TRUE(check());
    EXPECT_EQ(promoted(), nullptr);
    servers.promote(2);
    ASSERT_NE(promoted(), nullptr);
    EXPECT_EQ(promoted()->name, "redis-2");
    facts.erase(kReplicas);
    EXPECT_EQ(promoted(), nullptr);
}

TEST_F(Switchover, DemotesOnlyWhatIsStillTheOldMaster) {
    const std::tuple<const char*, bool, std::function<void(FakeServers&)>> table[] = {
        {"just promoted", true, [](FakeServers&) {}},
        {"the Sentinels know", true, [](FakeServers& all) { for (auto& s : all.sentinels) s.second = {2, 6}; }},
        {"no Sentinel answers", true, [](FakeServers& all) { for (auto& s : all.sentinels) s.second.is_silent = true; }},
        {"already demoted", true, [](FakeServers& all) { all.nodes[1].follows = 2; }},
        {"restarted, Sentinels know", true,
         [](FakeServers& all) {
             all.nodes[1].replid = "history-x";
             for (auto& s : all.sentinels) s.second = {2, 6};
         }},
        {"failed back by the Sentinels", false, [](FakeServers& all) { for (auto& s : all.sentinels) s.second = {1, 7}; }},
        {"failed back by its history", false, [](FakeServers& all) { all.nodes[1].replid = "history-of-1"; }},
        {"the new one follows the old one", false, [](FakeServers& all) { all.nodes[2].follows = 1; }},
        {"the new one is away", false, [](FakeServers& all) { all.nodes[2].is_refusing = true; }},
        {"the old one follows a third", false, [](FakeServers& all) { all.nodes[1].follows = 3; }},
    };
    for (const auto& [what, is_sent, change] : table) {
        FakeServers fresh;
        facts = Json::object();
        engine::StepContext context{fresh.fake.clock.context(), facts, {}};
        ASSERT_TRUE(make_check_switchover(fresh.cluster, "")->check(context));
        fresh.promote(2);
        facts[kNewMaster] = "redis-2";
        fresh.cluster = std::make_shared<Cluster>(fresh.settings, fresh.env);
        change(fresh);
        const Duration before = fresh.passed();
        EXPECT_EQ(make_demote_old(fresh.cluster)->apply(context).has_value(), is_sent) << what;
        EXPECT_EQ(fresh.count("redis-1 REPLICAOF 10.0.0.2 6379"), is_sent ? 1U : 0U) << what;
        EXPECT_EQ(fresh.orders.empty(), !is_sent) << what;
        EXPECT_LE(fresh.passed() - before, 300ms) << what << ": clients wait meanwhile";
    }
}

TEST_F(Switchover, CaughtUpMeansEveryReplicaThatMayBeChosen) {
    const std::tuple<const char*, bool, std::function<void(FakeNode&)>> table[] = {
        {"equal", true, [](FakeNode&) {}},
        {"behind", false, [](FakeNode& node) { node.offset = 999; }},
        {"unlinked", false, [](FakeNode& node) { node.link = "connect"; }},
        {"unlinked, never chosen", true, [](FakeNode& node) { node.link = "connect"; node.priority = 0; }},
        {"away", true, [](FakeNode& node) { node.is_refusing = true; }},
    };
    for (const auto& [what, is_equal, change] : table)
        for (const char* candidate : {"", "redis-2"}) {
            servers.nodes[3] = FakeNode{1};
            change(servers.nodes[3]);
            Cluster cluster(servers.settings, servers.env);
            const auto result =
                is_caught_up(cluster, servers.settings->nodes[0], candidate, servers.fake.clock.context());
            ASSERT_TRUE(result);
            EXPECT_EQ(*result, is_equal) << what << " " << candidate;
        }
    servers.nodes[2].is_refusing = true;
    Cluster cluster(servers.settings, servers.env);
    EXPECT_FALSE(*is_caught_up(cluster, servers.settings->nodes[0], "redis-2", servers.fake.clock.context()));
}

TEST_F(Switchover, AnArmedFailoverKeepsWritesPaused) {
    ASSERT_TRUE(check());
    servers.on_order = [&](const std::string& text) {
        if (text.find("FAILOVER") != std::string::npos) servers.sentinels[1].is_failing_over = true;
    };
    servers.on_question = [&] {
        if (servers.passed() >= 20s && servers.nodes[2].follows != 0) servers.promote(2);
    };
    ASSERT_TRUE(apply(make_promote(servers.cluster, "")));
    EXPECT_EQ(facts[kNewMaster], "redis-2");
    EXPECT_EQ(facts[kActingSentinel], "sentinel-1");
    EXPECT_GE(servers.count("CLIENT PAUSE"), 4U);
    EXPECT_EQ(servers.count("FAILOVER"), 1U);
    Duration last{};
    for (const Order& order : servers.orders) {
        if (order.text.find("PAUSE") == std::string::npos) continue;
        EXPECT_LE(order.at - last, 6s);
        last = order.at;
    }
}

TEST_F(Switchover, AFailoverThatIsGivenUpIsAFailure) {
    ASSERT_TRUE(check());
    const Status status = apply(make_promote(servers.cluster, ""));
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(status.error().effect, Effect::kNone);
    EXPECT_LE(servers.passed(), 3s);
    EXPECT_FALSE(facts.contains(kNewMaster));
}

TEST_F(Switchover, AFailoverThatStaysArmedIsUnknown) {
    ASSERT_TRUE(check());
    servers.sentinels[1].is_failing_over = false;
    servers.on_order = [&](const std::string&) { servers.sentinels[1].is_failing_over = true; };
    const auto step = make_promote(servers.cluster, "");
    auto context = this->step();
    const Status status = step->apply(context);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kTimeout);
    EXPECT_EQ(status.error().effect, Effect::kUnknown);
    EXPECT_NE(status.error().message.find("may still promote"), std::string::npos) << status.error().message;
    EXPECT_LT(servers.passed(), step->spec().timeout);
    EXPECT_GE(servers.count("CLIENT PAUSE"), 11U);
}

TEST_F(Switchover, ASilentSentinelIsPassedOver) {
    ASSERT_TRUE(check());
    servers.sentinels[1].is_silent = true;
    servers.on_order = [&](const std::string& text) {
        if (text.find("FAILOVER") != std::string::npos) servers.promote(3);
    };
    const auto ping = servers.cluster->order(servers.settings->sentinels[0], {"SENTINEL", "FAILOVER", "m"},
                                             servers.fake.clock.context());
    ASSERT_FALSE(ping);
    EXPECT_EQ(ping.error().effect, Effect::kNone) << "only the PING was sent";
    ASSERT_TRUE(apply(make_promote(servers.cluster, "")));
    EXPECT_EQ(servers.count("sentinel-1 SENTINEL FAILOVER"), 0U);
    EXPECT_EQ(servers.count("sentinel-2 SENTINEL FAILOVER"), 1U);
}

TEST_F(Switchover, UndoLeavesThePauseWhenAPromotionWasSeen) {
    ASSERT_TRUE(check());
    auto context = step();
    EXPECT_TRUE(make_pause_writes(servers.cluster)->undo(context));
    EXPECT_EQ(servers.count("redis-1 CLIENT UNPAUSE"), 1U);
    servers.orders.clear();
    facts[kNewMaster] = "redis-2";
    for (auto& sentinel : servers.sentinels) sentinel.second.names = 2;
    EXPECT_FALSE(make_pause_writes(servers.cluster)->undo(context)) << "redis-2 cannot be seen as master now";
    EXPECT_TRUE(servers.orders.empty());
}

TEST(ReadBack, FailsWhenTheMasterIsDemotedDuringTheScan) {
    for (const bool is_demoted : {false, true}) {
        FakeServers servers;
        const auto store = make_redis_drill_store(servers.settings, servers.env);
        ASSERT_TRUE(store->read_back("d", servers.fake.clock.context()));
        int questions = 0;
        servers.on_question = [&] {
            // Five to a Sentinel for each of three, ROLE, SCAN, ROLE.
            if (is_demoted && ++questions == 18) servers.nodes[1].follows = 2;
        };
        EXPECT_EQ(store->read_back("d", servers.fake.clock.context()).has_value(), !is_demoted);
    }
}

TEST(LeastPrivilege, EachLineIsWhole) {
    const std::string text = least_privilege_text(*make_settings());
    std::size_t lines = 0;
    for (std::size_t at = text.find("\nuser "); at != std::string::npos; at = text.find("\nuser ", at + 1)) {
        ++lines;
        EXPECT_EQ(text.compare(at + 1, 30, "user aeterna-dr on >PASSWORD r", 30) == 0 ||
                      text.compare(at + 1, 30, "user aeterna-dr on >PASSWORD a", 30) == 0, true);
    }
    EXPECT_EQ(lines, 3U);
    EXPECT_NE(text.find("ONE of these two lines"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::redis
