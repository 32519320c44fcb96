// Whose return is guarded, and whose not.
#include "redis/steps/return_sentry.h"

#include <gtest/gtest.h>

#include "assist_stage.h"

namespace aeterna::redis {
namespace {

using namespace testing;

class Sentry : public ::testing::Test {
  protected:
    Sentry() {
        status.store = "redis";
        status.primary = "redis-2";
        for (const char* name : {"redis-1", "redis-2", "redis-3"}) {
            engine::NodeStatus node;
            node.name = name;
            node.kind = "redis";
            node.role = "replica";
            node.state = "connected";
            status.nodes.push_back(node);
        }
        node(2).role = "primary";
        node(2).state = "running";
    }
    engine::NodeStatus& node(int n) { return status.nodes[static_cast<std::size_t>(n) - 1]; }
    void take_away(int n) {
        node(n).role = "unknown";
        node(n).state = "stopped";
    }
    // Kinds and subjects of what the sentry told.
    std::string look(bool may_act = true) {
        sentry.look(status, may_act);
        std::string told;
        for (const auto& event : sentry.take_events()) told += event.kind + " " + event.subject + "\n";
        return told;
    }

    Stage stage;
    engine::StoreStatus status;
    std::shared_ptr<ReturnGuards> guards =
        std::make_shared<ReturnGuards>(stage.servers.settings, stage.servers.env);
    ReturnSentry sentry{stage.servers.settings, stage.servers.env, guards, "/state"};
};

TEST_F(Sentry, GuardsWhoIsAwayWhileAnotherOneIsTheMaster) {
    EXPECT_EQ(look(), "") << "all are there";
    take_away(1);
    EXPECT_EQ(look(), "guard.set redis-1\n");
    EXPECT_EQ(look(), "") << "once";
}

TEST_F(Sentry, DoesNotGuardTheMasterWhoseDeathIsFresh) {
    take_away(2);
    EXPECT_EQ(look(), "");
    status.primary.reset();
    EXPECT_EQ(look(), "");
}

TEST_F(Sentry, GuardsNobodyBecauseOfOneWhoseReturnIsGuarded) {
    take_away(1);
    EXPECT_EQ(look(), "guard.set redis-1\n");
    take_away(2);
    status.primary = "redis-1";
    node(1).role = "primary";
    node(1).state = "running";
    EXPECT_EQ(look(), "");
}

TEST_F(Sentry, LeavesTheFencedAlone) {
    take_away(1);
    node(1).fenced = true;
    EXPECT_EQ(look(), "");
}

TEST_F(Sentry, GuardsOneThatIsASecondMasterOnceItsFenceIsLifted) {
    for (const bool was_fenced : {true, false}) {
        Stage own;
        ReturnSentry sentry(own.servers.settings, own.servers.env,
                            std::make_shared<ReturnGuards>(own.servers.settings, own.servers.env), "/state");
        const auto told = [&] {
            sentry.look(status, true);
            return sentry.take_events().size();
        };
        node(1).fenced = was_fenced;
        node(1).role = "unknown";
        node(1).state = was_fenced ? "stopped" : "running";
        EXPECT_EQ(told(), 0U);
        node(1).fenced = false;
        node(1).role = "primary";
        node(1).state = "running";
        EXPECT_EQ(told(), was_fenced ? 1U : 0U) << "any other second master is the Sentinels' to turn";
        EXPECT_EQ(told(), 0U) << "once";
    }
}

// Back before the next serve has looked, while whom the Sentinels name is away: nobody has met it.
TEST_F(Sentry, GuardsOneThatADeadServeHadReplaced) {
    engine::ExecutionRecord unfinished;
    unfinished.facts[kOldMaster] = "redis-1";
    for (const bool was_replaced : {false, true}) {
        if (was_replaced) unfinished.facts[kNewMaster] = "redis-2";
        sentry.take_over(unfinished);
        take_away(2);
        status.primary = "redis-1";  // as far as can be seen
        node(1).role = "primary";
        node(1).state = "running";
        status.extra["sentinel_master"] = "redis-2";
        EXPECT_EQ(look(), was_replaced ? "guard.set redis-1\n" : "guard.set redis-2\n");
        EXPECT_EQ(look(), "") << "once";
    }
}

TEST_F(Sentry, AReplacedOneThatFollowsOrLeadsAgainIsLeftAlone) {
    for (const char* role : {"replica", "primary"}) {
        SCOPED_TRACE(role);
        engine::ExecutionRecord unfinished;
        unfinished.facts[kOldMaster] = "redis-1";
        unfinished.facts[kNewMaster] = "redis-2";
        sentry.take_over(unfinished);
        node(1).role = role;
        status.primary = node(1).role == "primary" ? "redis-1" : "redis-2";
        status.extra["sentinel_master"] = *status.primary;
        EXPECT_EQ(look(), "");
        node(1).role = "primary";
        status.primary.reset();
        status.extra["sentinel_master"] = "redis-2";
        EXPECT_EQ(look(), "");
    }
}

TEST_F(Sentry, StandsDownWithoutLeave) {
    take_away(1);
    EXPECT_EQ(look(false), "");
    EXPECT_EQ(look(), "guard.set redis-1\n");
    EXPECT_EQ(look(false), "guard.lifted redis-1\n");
    EXPECT_EQ(look(), "guard.set redis-1\n");
}

}  // namespace
}  // namespace aeterna::redis
