// A master that is back with less than its replicas have, and serves: what it takes until it is killed is kept, it is only
// killed with leave of that moment and while somebody can replace it, and its writes go on where it is left alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assist_stage.h"
#include "redis/steps/look_at_death.h"

namespace aeterna::redis {
namespace {

using namespace testing;
using engine::ExecutionState;
using ::testing::HasSubstr;

// redis-1 was started again without its data; its replicas have not followed it yet.
struct EmptyStage : Stage {
    EmptyStage() {
        FakeNode& master = servers.nodes[1];
        master.is_refusing = false;
        master.replid = "history-of-nothing";
        master.keys = 1;
        master.uptime = 1;
        servers.nodes[2].keys = servers.nodes[3].keys = 100;
        master.counts_from_start = true;
        master.tail = encode_command({"SET", "a", "1"});
        for (auto& [n, sentinel] : servers.sentinels) sentinel.flags.clear();
        servers.on_order = [this](const std::string& order) {
            if (order.find("redis-1 CLIENT PAUSE") == 0 && on_pause) on_pause();
            carry_out(order);
        };
    }
    std::function<void()> on_pause;
};

void have_copied(Stage& stage) {
    for (int n = 2; n <= 3; ++n) {
        stage.servers.nodes[n].replid = stage.servers.nodes[1].replid;
        stage.servers.nodes[n].keys = 1;
    }
}

TEST(EmptyMaster, IsKilledWithLeaveOfThatMomentHoweverLongKeepingTook) {
    for (const Duration time : {Duration(0s), Duration(4s)}) {
        EmptyStage stage;
        stage.on_pause = [&] { stage.servers.fake.clock.advance(time); };
        const auto ended = stage.run();
        EXPECT_EQ(ended.facts["assist"], "acted") << dump_json(ended.facts) << stage.progress;
        EXPECT_EQ(ended.state, ExecutionState::kSucceeded) << ended.summary;
        EXPECT_EQ(stage.hands->executor.trace.front(), "fence redis-1");
        EXPECT_THAT(stage.progress, HasSubstr("kept what it took since its start: "));
    }
}

TEST(EmptyMaster, ThatItsReplicasCopyWhileItsWritesAreKeptIsLeftAloneAndItsWritesGoOn) {
    EmptyStage stage;
    stage.on_pause = [&] { have_copied(stage); };
    const auto ended = stage.run();
    EXPECT_EQ(ended.facts["assist"], "refused") << dump_json(ended.facts);
    EXPECT_EQ(stage.servers.count("redis-1 CLIENT UNPAUSE"), 1U);
    const auto& trace = stage.hands->executor.trace;
    EXPECT_EQ(std::count(trace.begin(), trace.end(), "fence redis-1"), 0);
}

TEST(EmptyMaster, OnlyOurOwnPauseOfAMasterThatIsStillNamedIsTakenBack) {
    const std::tuple<const char*, std::function<void(Stage&)>, std::size_t> table[] = {
        {"named", [](Stage&) {}, 1},
        {"replaced", [](Stage& stage) { for (auto& [n, sentinel] : stage.servers.sentinels) sentinel = FakeSentinel{2, 6}; }, 0},
        {"nobody says", [](Stage& stage) { for (auto& [n, sentinel] : stage.servers.sentinels) sentinel.is_refusing = true; }, 0},
        {"long ago", [](Stage& stage) { stage.servers.fake.clock.advance(15s); }, 0},
    };
    for (const auto& [what, change, count] : table) {
        EmptyStage stage;
        stage.hands->executor.fence_error = make_error(ErrorCode::kIo, "it cannot be killed");
        stage.hands->executor.on_fence = [&, &act = change] { act(stage); };
        const auto ended = stage.run();
        EXPECT_EQ(ended.facts["assist"], "refused") << what;
        EXPECT_EQ(stage.servers.count("redis-1 CLIENT UNPAUSE"), count) << what;
    }
}

TEST(EmptyMaster, ThatNobodyCanReplaceAnyMoreIsNotKilled) {
    const std::tuple<const char*, std::function<void(Stage&)>, const char*> table[] = {
        {"one can", [](Stage&) {}, ""},
        {"none may", [](Stage& stage) { stage.servers.nodes[2].priority = stage.servers.nodes[3].priority = 0; }, "no replica is fit"},
        {"one may not, and the other one follows somebody else",
         [](Stage& stage) { stage.servers.nodes[2].priority = 0, stage.servers.nodes[3].follows = 2; }, "no replica is fit"},
        {"they follow each other", [](Stage& stage) { stage.servers.nodes[2].follows = 3, stage.servers.nodes[3].follows = 2; },
         "answers again"},
    };
    for (const auto& [what, change, words] : table) {
        EmptyStage stage;
        change(stage);
        const Json facts{{kDeathForm, "empty"}, {kOldReplid, "history-1"}};
        const auto leave = leave_to_act(*stage.acting, stage.servers.settings->nodes[0], facts, stage.servers.fake.clock.context());
        EXPECT_EQ(leave.has_value(), *words == '\0') << what;
        if (!leave) {
            EXPECT_THAT(leave.error().message, HasSubstr(words)) << what;
        }
    }
}

TEST(EmptyMaster, WhatItTookIsToldAlsoWhereItsFilesCannotBeReached) {
    EmptyStage stage;
    auto settings = std::make_shared<RedisSettings>(*stage.servers.settings);
    settings->nodes[0].config_file.clear();
    stage.servers.settings = settings;
    stage.rebuild();
    const auto ended = stage.run();
    EXPECT_EQ(ended.facts["assist"], "acted") << dump_json(ended.facts) << stage.progress;
    ASSERT_TRUE(ended.facts.contains(kSalvaged)) << stage.progress;
    EXPECT_EQ(ended.facts[kSalvaged]["lost_writes"], 1);
    EXPECT_THAT(find_string(ended.facts[kSalvaged], "summary").value_or(""), HasSubstr("since its start: "));
    EXPECT_THAT(stage.progress, HasSubstr("kept what it took since its start: "));
}

// Killed by the fence of a process that died with it, before its facts were journaled.
TEST(EmptyMaster, WhatAProcessThatDiedKeptIsTold) {
    int tried = 0;
    for (int last_write = 1; last_write < 60; ++last_write) {
        SCOPED_TRACE(last_write);
        EmptyStage stage;
        bool is_dead = false;
        stage.servers.dead = &is_dead;
        stage.hands->executor.on_fence = [&] { is_dead = true; };
        engine::testing::World world;
        engine::testing::MortalJournal mortal(*stage.temp.journal, world, last_write);
        engine::Runbook first = stage.runbook();
        static_cast<void>(
            engine::Runner(mortal, stage.lock, stage.servers.env).run(first, {}, stage.servers.fake.clock.context(20min)));
        stage.servers.dead = nullptr;
        stage.hands->executor.on_fence = {};
        const auto executions = stage.temp.journal->executions(1).value();
        if (!is_dead || executions.empty() || executions.at(0).facts.contains(kTakenSince)) continue;
        if (!engine::is_resumable(executions.at(0))) continue;
        ++tried;
        const auto resumed = stage.resume(executions.at(0));
        ASSERT_TRUE(resumed) << resumed.error().to_string();
        EXPECT_THAT(dump_json(resumed->facts[kSalvaged]), HasSubstr("since its start: 1 write: set 1")) << stage.progress;
    }
    EXPECT_GT(tried, 0);
}

}  // namespace
}  // namespace aeterna::redis
