// fence and unfence on a real process: killed, kept down, let go and started again; each twice equals once.
#include "stack/fencing.h"

#include "../engine/toy_runbook.h"
#include "hosts/executor.h"
#include "rig.h"

namespace aeterna::stack::test {
namespace {

using engine::ExecutionState;

class Fencing : public ::testing::Test {
  protected:
    engine::ExecutionRecord run(const std::string& name, Json parameters = {{"nodes", {"node-1"}},
                                                                            {"holders", {"operator"}}}) {
        auto runbook = make_fencing_runbook(name, "alpha", parameters, rig.stack, real());
        EXPECT_TRUE(runbook) << runbook.error().to_string();
        engine::Runner runner(rig.journal(), lock, real());
        engine::RunRequest request;
        request.parameters = parameters;
        auto execution = runner.run(*runbook, request, within(30s));
        EXPECT_TRUE(execution) << execution.error().to_string();
        return *execution;
    }
    std::unique_ptr<hosts::Executor> executor() { return hosts::make_executor(rig.stack.hosts[0], real()).value(); }
    std::size_t fences() { return executor()->fences(within(1s)).value().size(); }

    Rig rig;
    engine::testing::ToyLock lock;
};

TEST_F(Fencing, HoldsANodeDownUntilItIsUnfenced) {
    const env::ProcessId before = rig.process.id();
    const auto fence = run("fence");
    EXPECT_EQ(fence.state, ExecutionState::kSucceeded) << fence.summary;
    EXPECT_FALSE(rig.process.now());
    const Status start = executor()->start("node-1", within(5s));
    ASSERT_FALSE(start);
    EXPECT_EQ(start.error().code, ErrorCode::kGuardRefused);

    EXPECT_EQ(run("fence").state, ExecutionState::kSucceeded) << "twice equals once";
    EXPECT_EQ(fences(), 1U);

    const auto unfence = run("unfence");
    EXPECT_EQ(unfence.state, ExecutionState::kSucceeded) << unfence.summary;
    EXPECT_EQ(fences(), 0U);
    ASSERT_TRUE(rig.process.is_running());
    const env::ProcessId after = rig.process.id();
    EXPECT_NE(after, before);
    EXPECT_EQ(run("unfence").state, ExecutionState::kSucceeded);
    EXPECT_EQ(rig.process.id(), after) << "a second process was started";
    const auto journaled = rig.journal().executions(10).value();
    ASSERT_EQ(journaled.size(), 4U);
    EXPECT_EQ(journaled[0].store, "alpha");
}

TEST_F(Fencing, LiftsWithoutStartingWhenAsked) {
    run("fence");
    run("unfence", {{"nodes", {"node-1"}}, {"holders", {"operator"}}, {"start", false}});
    EXPECT_EQ(fences(), 0U);
    EXPECT_FALSE(rig.process.now());
}

TEST_F(Fencing, LeavesWhatAnotherOneHolds) {
    run("fence");
    ASSERT_TRUE(hosts::put_marker(real().files, rig.stack.hosts[0].fence_directory, {"node-1", "q1-other", "drill", {}}));
    const auto unfence = run("unfence");
    EXPECT_EQ(unfence.state, ExecutionState::kRefused) << "it is let go, and started by nobody";
    ASSERT_TRUE(unfence.error);
    EXPECT_EQ(unfence.error->code, ErrorCode::kGuardRefused);
    EXPECT_EQ(fences(), 1U) << "its own is lifted";
    EXPECT_FALSE(rig.process.now());
    EXPECT_EQ(run("unfence", {{"nodes", {"node-1"}}, {"holders", {"operator", "q1-other"}}}).state,
              ExecutionState::kSucceeded);
}

TEST_F(Fencing, RefusesWhatWouldNotStayDown) {
    rig.stack.hosts[0].processes[0].honours_fence = false;
    const env::ProcessId before = rig.process.id();
    const auto fence = run("fence");
    EXPECT_EQ(fence.state, ExecutionState::kRefused);
    EXPECT_EQ(rig.process.id(), before);
    EXPECT_EQ(fences(), 0U);
}

TEST_F(Fencing, CanFenceSaysWhyNot) {
    EXPECT_TRUE(can_fence(rig.stack, {"node-1"}));
    EXPECT_EQ(can_fence(rig.stack, {"node-1", "ghost-1"}).error().message, "no host has the node 'ghost-1'");
    rig.stack.hosts[0].executor = "none";
    EXPECT_EQ(can_fence(rig.stack, {"node-1"}).error().message, "host 'host-1' has executor 'none': 'node-1' cannot be fenced");
}

TEST_F(Fencing, WrongParametersAreNoRunbook) {
    const auto make = [&](const char* name, const Json& parameters) {
        return make_fencing_runbook(name, "alpha", parameters, rig.stack, real());
    };
    EXPECT_EQ(make("dance", {{"nodes", {"node-1"}}}).error().code, ErrorCode::kNotFound);
    for (const Json& wrong : {Json::object(), Json{{"nodes", Json::array()}}, Json{{"nodes", "node-1"}},
                              Json{{"nodes", {"node-1", 7}}}, Json{{"nodes", {""}}}}) {
        const auto runbook = make("fence", wrong);
        ASSERT_FALSE(runbook) << wrong;
        EXPECT_EQ(runbook.error().code, ErrorCode::kUsage);
    }
    EXPECT_EQ(make("unfence", {{"nodes", {"node-1"}}}).error().code, ErrorCode::kUsage) << "whose fence?";
}

}  // namespace
}  // namespace aeterna::stack::test
