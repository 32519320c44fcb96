// Every fence is lifted or reported: whose holder counts as gone, and what becomes of it.
#include "app/daemon/fences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../support/fake_env.h"
#include "toy_store.h"

namespace aeterna::app {
namespace {

using engine::ExecutionState;
using engine::FindingState;
using engine::testing::TempJournal;
using namespace std::chrono_literals;

const WallTime kNow = parse_time("2026-03-01T10:00:00Z").value();

class FencesTest : public ::testing::Test {
  protected:
    FencesTest() {
        auto root = config::Section::parse("redis: {}", "t.yaml");
        open.stack.stores.push_back(config::StoreSection{"redis", {}, {}, *root});
        open.stores.push_back(std::make_unique<ToyStore>());
        open.stack.hosts.resize(1);
        open.stack.hosts[0].name = "host-1";
        open.stack.hosts[0].executor = "local";
        open.stack.hosts[0].fence_directory = "/state/fences";
        for (const char* node : {"agent-1", "redis-1", "redis-2", "sentinel-1"}) {
            open.stack.hosts[0].processes.emplace_back();
            open.stack.hosts[0].processes.back().node = node;
        }
    }
    void execution(const std::string& id, ExecutionState state, Duration age = 1s, Json facts = Json::object()) {
        engine::ExecutionRecord record;
        record.id = id;
        record.runbook = "failover";
        record.store = "redis";
        record.state = state;
        record.started_at = fake.clock.wall_now() - std::chrono::duration_cast<WallTime::duration>(age);
        record.facts = std::move(facts);
        ASSERT_TRUE(temp.journal->put_execution(record));
    }
    std::string gone(const std::string& holder) { return holder_gone(holder, *temp.journal, fake.env).value(); }
    const engine::Finding& finding(const std::vector<engine::Finding>& findings, const std::string& node) {
        return *std::find_if(findings.begin(), findings.end(), [&](const auto& one) { return one.subject == node; });
    }

    testing::FakeEnv fake;
    TempJournal temp;
    OpenStack open;
};

TEST_F(FencesTest, AHolderIsGoneOnceNobodyIsGoingToLiftIt) {
    execution("exec-runs", ExecutionState::kRunning);
    execution("exec-old", ExecutionState::kRunning, 21min);
    EXPECT_EQ(gone("operator"), "") << "a person did it on purpose";
    EXPECT_EQ(gone("exec-runs"), "");
    EXPECT_EQ(gone("exec-old"), "exec-old (failover redis) has not ended since 2026-03-01T09:39:00.000Z");
    for (const auto& [state, word] : {std::pair{ExecutionState::kFailed, "failed"},
                                      {ExecutionState::kSucceeded, "succeeded"},
                                      {ExecutionState::kUnknown, "unknown"},
                                      {ExecutionState::kAwaitingApproval, "awaiting_approval"}}) {
        execution("exec-ended", state);
        EXPECT_EQ(gone("exec-ended"), std::string("exec-ended (failover redis) has ended: ") + word);
    }
    EXPECT_EQ(gone("exec-never"), "nobody knows 'exec-never'");
    engine::DrillRecord drill{"q1-1", "q1", "running", kNow, {}, {{"process", {{"pid", 1}, {"start", 1}}}}, Json()};
    ASSERT_TRUE(temp.journal->put_drill(drill));
    EXPECT_EQ(gone("q1-1"), "the drill q1-1 is over") << "its process is dead";
}

TEST_F(FencesTest, AHolderWhoseProcessLivesIsNotGoneHoweverLongItTakes) {
    fake.processes.alive = {7};
    const Json mine = {{"runner.process", {{"pid", 7}, {"start", 1}}}};
    execution("exec-long", ExecutionState::kRunning, 48h, mine);
    EXPECT_EQ(gone("exec-long"), "") << "a restore of much data";
    execution("exec-ended", ExecutionState::kFailed, 48h, mine);
    EXPECT_THAT(gone("exec-ended"), ::testing::HasSubstr("has ended")) << "serve lives on";
    execution("exec-other", ExecutionState::kRunning, 48h, {{"runner.process", {{"pid", 7}, {"start", 2}}}});
    EXPECT_THAT(gone("exec-other"), ::testing::HasSubstr("has not ended since")) << "a later process has its number";
    fake.processes.alive.clear();
    EXPECT_THAT(gone("exec-long"), ::testing::HasSubstr("has not ended since"));
}

TEST_F(FencesTest, WhatIsLeftBehindIsAnIncidentOfItsStore) {
    ASSERT_TRUE(hosts::put_marker(fake.files, "/state/fences", {"agent-1", "exec-lost", "dead", kNow}));
    ASSERT_TRUE(hosts::put_marker(fake.files, "/state/fences", {"redis-2", "operator", "by hand", kNow}));
    const Fences fences = read_fences(open.stack, *temp.journal, fake.env);
    ASSERT_EQ(fences.problem, "");
    ASSERT_EQ(fences.all.size(), 2U);
    const auto findings = judge_fences(stores_of_nodes(open), fences, kNow);
    ASSERT_EQ(findings.size(), 4U) << "clear ones, too: they close the incident";
    EXPECT_EQ(finding(findings, "agent-1").state, FindingState::kFiring);
    EXPECT_EQ(finding(findings, "agent-1").store, "redis");
    EXPECT_EQ(finding(findings, "agent-1").reasons.at(0),
              "fence of exec-lost since 2026-03-01T10:00:00.000Z (dead): nobody knows 'exec-lost'");
    EXPECT_EQ(finding(findings, "redis-2").state, FindingState::kClear);
    EXPECT_EQ(finding(findings, "sentinel-1").store, "hosts");
}

TEST_F(FencesTest, WhatCannotBeReadIsUnknown) {
    Fences fences;
    fences.problem = "permission denied";
    for (const engine::Finding& one : judge_fences(stores_of_nodes(open), fences, kNow)) {
        EXPECT_EQ(one.state, FindingState::kUnknown) << one.subject;
    }
}

TEST_F(FencesTest, StatusNamesTheHolder) {
    engine::StackStatus status;
    status.stores.resize(1);
    status.stores[0].store = "redis";
    for (const char* name : {"redis-1", "redis-2"}) {
        status.stores[0].nodes.push_back({name, "redis", "", "", {}, false, "real", "", ""});
    }
    status.stores[0].nodes[1].note = "connection refused";
    Fences fences;
    fences.all = {{{"redis-2", "operator", "by hand", kNow}, ""}, {{"redis-2", "q1-1", "drill", kNow}, ""}};
    annotate(status, fences);
    EXPECT_FALSE(status.stores[0].nodes[0].fenced);
    EXPECT_TRUE(status.stores[0].nodes[1].fenced);
    EXPECT_EQ(status.stores[0].nodes[1].note, "by operator; connection refused");
}

TEST_F(FencesTest, APersonLiftsHisOwnAndWhatIsLeftBehind) {
    Fences fences;
    fences.all = {{{"redis-2", "exec-lost", "dead", kNow}, "gone"}, {{"redis-2", "operator", "", kNow}, ""},
                  {{"redis-1", "exec-runs", "dead", kNow}, ""}, {{"agent-1", "exec-runs", "dead", kNow}, ""}};
    EXPECT_EQ(liftable_holders(fences, {"redis-2"}).value(), (std::vector<std::string>{"operator", "exec-lost"}));
    EXPECT_EQ(liftable_holders(Fences{}, {"redis-2"}).value(), std::vector<std::string>{"operator"});
    const auto held = liftable_holders(fences, {"agent-1", "redis-1"});
    ASSERT_FALSE(held);
    EXPECT_EQ(held.error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(held.error().hint, "Wait for it, or name it: --holder exec-runs.");
}

TEST_F(FencesTest, NodesOfOneServerBelongTogether) {
    EXPECT_EQ(fence_group(open, "redis-1")->nodes, (std::vector<std::string>{"agent-1", "redis-1"}));
    EXPECT_EQ(fence_group(open, "agent-1")->nodes, (std::vector<std::string>{"agent-1", "redis-1"}));
    EXPECT_EQ(fence_group(open, "redis-2")->store, "redis");
    const auto other = fence_group(open, "sentinel-1");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::kUsage);
    EXPECT_EQ(other.error().hint, "Name one of: redis-1, redis-2.");
}

}  // namespace
}  // namespace aeterna::app
