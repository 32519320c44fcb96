// The guard of the old master's return: what it holds, when it lets go, when it demotes.
#include "redis/steps/return_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assist_stage.h"

namespace aeterna::redis {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The guard's thread body, run by hand.
class Guard : public ::testing::Test {
  protected:
    Guard() {
        stage.hands->has_executor = false;
        guard.arm("/state/salvage/x");
        facts = {{kOldReplid, "history-1"}, {kOldEpoch, 5}, {kReplicas, {"redis-2", "redis-3"}}};
    }
    void run() { guard.run(stop.get_token()); }

    Stage stage;
    Json facts;
    std::stop_source stop;
    ReturnGuard guard{stage.servers.settings, stage.servers.env, stage.servers.settings->nodes[0],
                      "/state/salvage/x"};
};

TEST_F(Guard, HoldsAReturnedMasterAndDemotesItOnceAReplicaIsPromoted) {
    int questions = 0;
    stage.servers.on_question = [&] {
        if (++questions == 30) stage.promote(), guard.demote_for("redis-2", facts);
    };
    stage.servers.nodes[1].is_refusing = false;  // back as a master
    run();
    ASSERT_GE(stage.servers.orders.size(), 3U);
    EXPECT_EQ(stage.servers.orders[0].text, "redis-1 CLIENT PAUSE 15000 WRITE");
    EXPECT_EQ(stage.servers.count("redis-1 REPLICAOF 10.0.0.2"), 1U);
    EXPECT_EQ(stage.servers.count("redis-1 CLIENT UNPAUSE"), 1U);
    EXPECT_LT(stage.servers.orders[0].at, 50ms);
    EXPECT_TRUE(guard.report().demoted_at);
    EXPECT_EQ(stage.servers.nodes[1].follows, 2);
}

TEST_F(Guard, LetsGoWhenTheFailoverIsGivenUp) {
    stage.servers.nodes[1].is_refusing = false;
    int questions = 0;
    stage.servers.on_question = [&] {
        if (++questions == 30) guard.release();
    };
    run();
    EXPECT_EQ(stage.servers.orders.back().text, "redis-1 CLIENT UNPAUSE");
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
}

TEST_F(Guard, RenewsThePauseAsLongAsNobodyIsPromoted) {
    stage.servers.nodes[1].is_refusing = false;
    stage.servers.on_question = [&] {
        if (stage.servers.passed() > 12s) stop.request_stop();
    };
    run();
    EXPECT_EQ(stage.servers.count("CLIENT PAUSE"), 3U);
    EXPECT_EQ(stage.servers.count("UNPAUSE"), 0U);
}

// Nobody takes writes as long as it is held.
TEST_F(Guard, GivesBackWhomAMajorityNamesWhenThePromotedOneStaysAway) {
    for (const bool is_named : {true, false}) {
        Stage stage;
        stage.hands->has_executor = false;
        ReturnGuard guard(stage.servers.settings, stage.servers.env, stage.servers.settings->nodes[0], "/state/salvage/x");
        guard.arm("/state/salvage/x");
        guard.demote_for("redis-2", facts);
        stage.servers.nodes[1].is_refusing = false;
        stage.servers.nodes[2].is_refusing = true;
        if (!is_named)
            for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{2, 6};
        std::stop_source enough;
        stage.servers.on_question = [&] {
            if (stage.servers.passed() > 30s) enough.request_stop();
        };
        guard.run(enough.get_token());
        EXPECT_EQ(guard.report().is_given_back, is_named);
        EXPECT_EQ(stage.servers.count("UNPAUSE"), is_named ? 1U : 0U);
        if (is_named) {
            EXPECT_GE(stage.servers.orders.back().at, 15s);
        }
    }
}

// Back while nobody was there to hold it, it has taken writes that clients were told of.
TEST_F(Guard, GivesBackAtOnceWhomAMajorityNamesWhenItMayHaveServedWhileWeStoodStill) {
    stage.servers.promote(2);
    guard.demote_for("redis-2", facts);
    stage.servers.nodes[1].is_refusing = false;
    stage.servers.nodes[1].is_silent = true;
    stage.servers.on_question = [&] { stop.request_stop(); };
    run();
    stage.servers.on_question = {};
    stage.servers.nodes[1].is_silent = false;
    stage.servers.fake.clock.advance(kStoodStill + 1s);
    guard.run({});
    EXPECT_TRUE(guard.report().is_given_back);
    EXPECT_EQ(stage.servers.orders.back().text, "redis-1 CLIENT UNPAUSE");
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
}

TEST_F(Guard, LeavesAReplicaAlone) {
    stage.servers.nodes[1].is_refusing = false;
    stage.servers.nodes[1].follows = 2;
    run();
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
    EXPECT_EQ(guard.report().note, "it is back as a replica");
}

// REPLICAOF begins the copy that destroys it: by then it is on our disk, and nothing has been added since.
class GuardOfATail : public Guard {
  protected:
    GuardOfATail() {
        stage.promote();
        stage.servers.nodes[1].is_refusing = false;  // back as a master
        stage.servers.nodes[1].tail = tail;
        stage.servers.nodes[2].tail = encode_command({"SET", "b", "1"});
        guard.demote_for("redis-2", facts);
        const auto carry_out = stage.servers.on_order;
        stage.servers.on_order = [this, carry_out](const std::string& order) {
            if (order.find("REPLICAOF") != std::string::npos) kept = stage.servers.fake.files.content[kTail];
            carry_out(order);
        };
    }
    std::vector<std::string> orders() const {
        std::vector<std::string> all;
        for (const Order& order : stage.servers.orders) all.push_back(order.text);
        return all;
    }

    static constexpr const char* kTail = "/state/salvage/x/redis-1-tail.aof";
    const std::string tail = encode_command({"SET", "a", "1"}) + encode_command({"RPUSH", "l", "2"});
    std::string kept;  // when REPLICAOF arrived
};

TEST_F(GuardOfATail, KeepsWhatItWroteAloneBeforeItIsDemoted) {
    run();
    EXPECT_EQ(kept, tail);
    EXPECT_THAT(orders(), ElementsAre("redis-1 CLIENT PAUSE 15000 WRITE", "redis-1 CLIENT PAUSE 15000 WRITE",
                                      "redis-1 REPLICAOF 10.0.0.2 6379", "redis-1 CLIENT UNPAUSE", "redis-1 CONFIG REWRITE"));
    ASSERT_TRUE(guard.report().salvaged);
    EXPECT_EQ(guard.report().salvaged->lost_writes, 2U);
    EXPECT_TRUE(guard.report().demoted_at);
}

// Sentinel would destroy it as well, and say nothing.
TEST_F(GuardOfATail, WhatCannotBeKeptIsToldWithTheDemotion) {
    stage.servers.nodes[2].offset = 900;  // its backlog does not reach back to where the other one began
    run();
    EXPECT_EQ(kept, "");
    EXPECT_FALSE(guard.report().salvaged);
    EXPECT_TRUE(guard.report().demoted_at);
    EXPECT_THAT(guard.report().note, HasSubstr("its tail could not be kept"));
}

// Its history is another one then, and the Sentinels' word is needed.
TEST_F(GuardOfATail, OfARestartedOneKeepsWhatItHasTakenSince) {
    stage.servers.nodes[1].replid = "history-of-1";
    stage.servers.nodes[1].counts_from_start = true;
    stage.servers.nodes[1].uptime = 3;
    run();
    EXPECT_EQ(kept, tail);
    EXPECT_EQ(stage.servers.count("redis-1 REPLICAOF 10.0.0.2"), 1U);
    EXPECT_EQ(guard.report().salvaged->lost_writes, 2U);
}

// No execution says who was promoted: the guard looks for itself.
class LoneGuard : public Guard {
  protected:
    LoneGuard() {
        guard.disarm();
        stage.servers.nodes[1].is_refusing = false;  // back as a master
        stage.servers.on_question = [this] {
            if (stage.servers.passed() > 20s) stop.request_stop();
        };
    }
    void name_by_all(int node) {
        for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{node, 6};
    }
    // It names redis-2.
    void leave_one_sentinel() {
        name_by_all(2);
        for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_silent = n != 1;
        stage.servers.on_question = [this] {
            if (stage.servers.passed() > 30s) stop.request_stop();
        };
    }
};

TEST_F(LoneGuard, DemotesWhomAMajorityOfTheSentinelsHasReplaced) {
    stage.promote();
    run();
    EXPECT_EQ(stage.servers.orders.at(0).text, "redis-1 CLIENT PAUSE 15000 WRITE");
    EXPECT_EQ(stage.servers.count("redis-1 REPLICAOF 10.0.0.2"), 1U);
    EXPECT_TRUE(guard.report().demoted_at);
    EXPECT_LT(stage.servers.passed(), 2s);
}

TEST_F(LoneGuard, LetsGoAtOnceWhomTheSentinelsName) {
    name_by_all(1);
    run();
    EXPECT_EQ(stage.servers.orders.back().text, "redis-1 CLIENT UNPAUSE");
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
    EXPECT_LT(stage.servers.passed(), 1s);
    EXPECT_TRUE(guard.is_over());
}

TEST_F(LoneGuard, HoldsOnSuspicionForThreeSecondsOnly) {
    for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_silent = true;
    run();
    ASSERT_EQ(stage.servers.count("UNPAUSE"), 1U);
    const auto let_go = std::find_if(stage.servers.orders.begin(), stage.servers.orders.end(),
                                     [](const auto& order) { return order.text.find("UNPAUSE") != std::string::npos; });
    EXPECT_GE(let_go->at, 3s);
    EXPECT_LE(let_go->at, 8s);
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
}

TEST_F(LoneGuard, HoldsAsLongAsTheOneSentinelThatIsLeftNamesAnother) {
    leave_one_sentinel();
    run();
    EXPECT_GE(stage.servers.count("CLIENT PAUSE"), 3U);
    // Each 20 s its writes go on, and are held anew at once.
    ASSERT_EQ(stage.servers.count("UNPAUSE"), 1U);
    const auto& orders = stage.servers.orders;
    const auto let_go = std::find_if(orders.begin(), orders.end(),
                                     [](const auto& order) { return order.text.find("UNPAUSE") != std::string::npos; });
    EXPECT_GE(let_go->at, 20s);
    ASSERT_NE(let_go + 1, orders.end());
    EXPECT_EQ((let_go + 1)->text, "redis-1 CLIENT PAUSE 15000 WRITE");
    EXPECT_LT((let_go + 1)->at - let_go->at, 100ms);
}

// Too few Sentinels answer us for it to be ours to turn, and what they order waits behind the pause.
TEST_F(LoneGuard, LetsTheSentinelsTurnWhomItCannotAndKeepsWhatItHasBefore) {
    leave_one_sentinel();
    stage.servers.nodes[1].replid = "its own";
    stage.servers.nodes[1].uptime = 3;
    stage.servers.nodes[1].counts_from_start = true;
    stage.servers.nodes[1].tail = encode_command({"SET", "a", "1"});
    stage.servers.on_order = [&](const std::string& order) {
        if (order.find("UNPAUSE") != std::string::npos) stage.servers.nodes[1].follows = 2;
    };
    run();
    EXPECT_TRUE(guard.is_over());
    EXPECT_EQ(stage.servers.count("REPLICAOF"), 0U);
    EXPECT_TRUE(guard.report().salvaged);
    EXPECT_EQ(guard.report().note, "it is back as a replica");
}

// Nobody orders anybody to follow it, and what is written meanwhile may be lost.
TEST_F(LoneGuard, LetsNoWritesGoWhereThePromotedOneIsDead) {
    leave_one_sentinel();
    stage.servers.nodes[2].is_refusing = true;
    run();
    EXPECT_EQ(stage.servers.count("UNPAUSE"), 0U);
}

}  // namespace
}  // namespace aeterna::redis
