// The plan of the real failover runbook, over servers that all refuse: what depends on a proof is neither "already
// done" nor promised. And single steps of a restore there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../engine/toy_runbook.h"
#include "../support/fake_env.h"
#include "fixtures.h"
#include "hosts/fence_marker.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {
namespace {

using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Stage {
    aeterna::testing::FakeEnv fake;
    aeterna::testing::InlineThreads threads;
    env::Env env{fake.clock, fake.random, threads,   fake.files,         fake.processes,
                 fake.dialer, fake.http,  fake.http_listener, fake.sql, fake.log};
    Settings settings = testing::three_nodes();
    engine::testing::TempJournal temp;
    engine::testing::ToyLock lock;

    std::vector<std::string> plan(const Json& parameters) {
        auto runbook = make_runbook("failover", parameters, settings, env);
        return engine::Runner(*temp.journal, lock, env).plan(*runbook, fake.clock.context(20min));
    }
    // What each line says after the step's description.
    std::vector<std::string> verdicts(const Json& parameters) {
        std::vector<std::string> ends;
        for (const std::string& line : plan(parameters)) ends.push_back(line.substr(line.find(") – ") + 6));
        return ends;
    }
};

TEST(FailoverPlan, NamesTheConditionOfEachStepThatMayNotBeNeeded) {
    Stage stage;
    EXPECT_THAT(stage.verdicts({{"assist", "act"}, {"old_primary", "postgres-1"}}),
                ElementsAre("only if the primary takes writes and its agent is dead", "would run",
                            "only if the primary is proven lost", "only if the fence is confirmed", "only with a candidate",
                            "would run", _,
                            "only if the old primary was replaced and has such backends",
                            "only if this execution holds the old primary fenced and another node was promoted",
                            "only if this execution holds a fence", "only if another node took the old primary's place"));
}

TEST(FailoverPlan, ACandidateIsForAnAssistThatActs) {
    Stage stage;
    const auto plan = stage.plan({{"assist", "act"}, {"old_primary", "postgres-1"}, {"candidate", "postgres-2"}});
    EXPECT_THAT(plan.at(4), HasSubstr("ask Patroni to make 'postgres-2' the leader"));
    for (const char* word : {"off", "propose"}) {
        const auto refused = make_runbook("failover", {{"assist", word}, {"candidate", "postgres-2"}}, stage.settings, stage.env);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
    }
}

TEST(FailoverPlan, SaysWhatWouldBeDoneAndWhatItTakes) {
    Stage stage;
    const auto lines = stage.plan({{"assist", "propose"}, {"old_primary", "postgres-1"}});
    EXPECT_EQ(lines.at(2), "3. fence the lost primary: kill its agent and its server, keep both from being started "
                           "(disruptive; undo: yes) – only if somebody says yes to the proposal, and the primary is "
                           "proven lost");
    EXPECT_THAT(lines.at(1), HasSubstr("would run"));
    const auto off = stage.verdicts({{"old_primary", "postgres-1"}});
    EXPECT_EQ(off.at(1), "only with assist 'propose' or 'act'");
    EXPECT_EQ(off.at(2), "only with assist 'propose' or 'act'");
}

TEST(RestorePlan, RefusesWhereAMemberCannotBeHeldDown) {
    Stage stage;
    const Json parameters{{"node", "postgres-1"}, {"backup", "b"}, {"replay", {{"timeline", 1}, {"from", 1}, {"last", 2}, {"to", 3}}}};
    auto runbook = make_runbook("restore", parameters, stage.settings, stage.env);
    ASSERT_TRUE(runbook) << runbook.error().to_string();
    Json facts = Json::object();
    engine::StepContext step{stage.fake.clock.context(1min), facts, [](const std::string&) {}};
    const auto checked = runbook->steps.front()->check(step);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::kGuardRefused);
    EXPECT_THAT(checked.error().message, HasSubstr("no host that runs 'postgres-1'"));
    EXPECT_TRUE(facts.empty());
}

TEST(RestorePlan, NeedsABackupAndWalBehindIt) {
    Stage stage;
    for (const Json& parameters : {Json{{"backup", "b"}}, Json{{"replay", {{"timeline", 1}, {"from", 1}, {"last", 2}, {"to", 3}}}}}) {
        const auto runbook = make_runbook("restore", parameters, stage.settings, stage.env);
        ASSERT_FALSE(runbook);
        EXPECT_EQ(runbook.error().code, ErrorCode::kUsage);
    }
}

TEST(RestoreSteps, NameTheMemberThatIsNotHeldDown) {
    Stage stage;
    config::Host host{"here", "a", "local", "/fences", {}};
    for (const NodeSettings& node : stage.settings.nodes) {
        for (const std::string& name : node.fence_group()) {
            host.processes.push_back({name, "/run/" + name, {}, true});
            if (node.name == "postgres-2") continue;
            ASSERT_TRUE(hosts::put_marker(stage.fake.files, host.fence_directory, {name, "test", "restore", {}}));
        }
    }
    stage.settings.hosts = {host};
    Json facts = Json::object();
    engine::StepContext step{stage.fake.clock.context(1min), facts, [](const std::string&) {}};
    const Status verified = make_stop_cluster({stage.settings, stage.env, "postgres-1", ""})->verify(step);
    ASSERT_FALSE(verified);
    EXPECT_THAT(verified.error().message, HasSubstr("'postgres-2' answers, or something of it runs"));
}

}  // namespace
}  // namespace aeterna::postgres
