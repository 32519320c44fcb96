// Policy over a toy store, a real journal and threads that are run by hand: when an execution begins, with which word for
// the assist, and what holds it back.
#include "app/daemon/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../engine/temp_journal.h"
#include "../engine/toy_runbook.h"
#include "../support/fake_env.h"
#include "toy_store.h"

namespace aeterna::app {
namespace {

using engine::testing::TempJournal;
using engine::testing::ToyLock;
using ::testing::Contains;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class AliveProcesses final : public testing::FakeProcesses {
  public:
    bool alive = true;
    bool is_alive(const env::ProcessId& id) override { return alive && id.pid == 42 && id.start_ticks == 7; }
    int own_pid() override { return 42; }
};

class PolicyTest : public ::testing::Test {
  protected:
    PolicyTest() {
        auto root = config::Section::parse("stores: {}", "t.yaml");
        open.stack.name = "test";
        open.stack.stores.push_back(config::StoreSection{"redis", {}, {"failover"}, *root});
        open.stack.stores[0].assist = config::Assist::kAct;
        auto toy = std::make_unique<ToyStore>();
        store = toy.get();
        open.stores.push_back(std::move(toy));
        restart();
    }
    void restart() {
        policy = std::make_unique<Policy>(open, *temp.journal, lock, env);
        policy->take_over();
    }
    engine::IncidentSummary incident(const std::string& id, const std::string& node,
                                     const std::string& detector = "redis.master_down") {
        engine::IncidentSummary made{id, detector, "redis", node, "critical", "open", "down", {}, fake.clock.wall_now(), {}};
        EXPECT_TRUE(temp.journal->put_incident(made));
        return made;
    }
    engine::StoreStatus status(std::optional<std::string> primary = std::nullopt) {
        engine::StoreStatus made;
        made.store = "redis";
        made.primary = std::move(primary);
        for (const char* name : {"redis-1", "redis-2", "redis-3"}) made.nodes.push_back({name, "redis", "", "", {}, false, "real", "", ""});
        return made;
    }
    // One judge round; true when an execution's thread was started.
    bool react(const std::vector<engine::IncidentSummary>& incidents, std::optional<std::string> primary = std::nullopt) {
        const int before = fake.threads.started;
        policy->react(incidents, {status(std::move(primary))}, read_orders(*temp.journal, env).value());
        return fake.threads.started != before;
    }
    void run() { fake.threads.last->body(fake.threads.last->stop.get_token()); }
    [[nodiscard]] std::string word() const { return find_string(store->built.back(), "assist").value_or("none"); }
    engine::MaintenanceRecord maintenance(const std::string& about, Duration length) {
        engine::MaintenanceRecord window{"maint-1", about, "new disks", fake.clock.wall_now(), {}, {}};
        window.until = window.started_at + std::chrono::duration_cast<WallTime::duration>(length);
        EXPECT_TRUE(temp.journal->put_maintenance(window));
        return window;
    }
    void drill(const std::string& assist, const std::string& by = "drill") {
        engine::DrillRecord record{"q1-1", "q1", "running", fake.clock.wall_now(), {}, Json::object(), Json()};
        record.parameters = {{"assist", assist}, {"assist_by", by}, {"process", {{"pid", 42}, {"start", 7}}}};
        EXPECT_TRUE(temp.journal->put_drill(record));
    }

    testing::FakeEnv fake;
    AliveProcesses processes;
    env::Env env{fake.clock,  fake.random, fake.threads,       fake.files, processes,
                 fake.dialer, fake.http,   fake.http_listener, fake.sql,   fake.log};
    TempJournal temp;
    ToyLock lock;
    OpenStack open;
    ToyStore* store = nullptr;
    std::unique_ptr<Policy> policy;
};

TEST_F(PolicyTest, BeginsInTheRoundOfTheIncidentAndOnlyOnce) {
    const auto down = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({down}));
    EXPECT_FALSE(react({down})) << "it is in hand";
    run();
    ASSERT_EQ(store->built.size(), 1U);
    EXPECT_EQ(store->built[0], (Json{{"old_primary", "redis-1"}, {"assist", "act"}}));
    EXPECT_FALSE(react({down})) << "it is handled";
    const auto executions = temp.journal->executions(10).value();
    ASSERT_EQ(executions.size(), 1U);
    EXPECT_EQ(executions[0].trigger, "incident:inc-1");
    EXPECT_EQ(executions[0].parameters["assist"], "act");
    EXPECT_THAT(policy->notes("inc-1"), Contains("policy: failover begun"));
}

TEST_F(PolicyTest, WhatAFailoverLeavesDividedIsReconciledBehindIt) {
    const auto down = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({down}));
    const auto divided = incident("inc-2", "the-cluster", "redis.divided");
    EXPECT_FALSE(react({divided})) << "it may end by what is in hand";
    run();
    EXPECT_TRUE(react({divided})) << "it has not, although it was opened before the end of that";
    run();
    EXPECT_EQ(temp.journal->executions(10).value()[0].runbook, "reconcile");
    EXPECT_FALSE(react({divided}));
    fake.clock.advance(30s);
    EXPECT_TRUE(react({divided})) << "it lasts";
}

TEST_F(PolicyTest, ADeathDuringAReconciliationIsDealtWithBehindIt) {
    for (const ErrorCode code : {ErrorCode::kAwaitingApproval, ErrorCode::kUnavailable}) {
        restart();
        const std::string id = std::to_string(static_cast<int>(code));
        store->outcome = make_error(code, "the master is gone");
        const auto divided = incident("inc-1-" + id, "the-cluster", "redis.divided");
        ASSERT_TRUE(react({divided}, "redis-2"));
        const auto down = incident("inc-2-" + id, "redis-2");
        EXPECT_FALSE(react({divided, down}, "redis-2")) << "it turns servers, and ends at once";
        run();
        EXPECT_TRUE(react({down}, "redis-2")) << "it was opened before the other ended";
        run();
    }
}

TEST_F(PolicyTest, ADivisionThatOutlivedAnExecutionIsBegunAnewByTheNextServe) {
    const auto divided = incident("inc-1", "the-cluster", "redis.divided");
    for (const bool is_asked : {false, true}) {
        store->outcome = make_error(is_asked ? ErrorCode::kAwaitingApproval : ErrorCode::kUnavailable, "not yet");
        ASSERT_TRUE(react({divided}));
        run();
        restart();
    }
    EXPECT_FALSE(react({divided})) << "a person was asked";
}

TEST_F(PolicyTest, ADivisionThatLastsIsTriedMoreAndMoreSeldom) {
    const auto divided = incident("inc-1", "the-cluster", "redis.divided");
    for (const Duration wait : {30s, 60s, 120s, 240s, 480s, 600s, 600s}) {
        ASSERT_TRUE(react({divided})) << to_seconds(wait);
        run();
        fake.clock.advance(wait - 1s);
        ASSERT_FALSE(react({divided})) << to_seconds(wait);
        fake.clock.advance(1s);
    }
    const auto notes = policy->notes("inc-1");
    EXPECT_EQ(std::count_if(notes.begin(), notes.end(), [](const std::string& line) { return line.starts_with("policy: reconcile exec-"); }), 1);
}

TEST_F(PolicyTest, ApprovalIsTheListOrTheAssist) {
    struct Row {
        std::vector<std::string> approvals;
        config::Assist assist;
        bool begins;
    };
    const Row rows[] = {{{}, config::Assist::kOff, false},
                        {{}, config::Assist::kPropose, false},
                        {{}, config::Assist::kAct, true},
                        {{"failover"}, config::Assist::kOff, true},
                        {{"failover"}, config::Assist::kPropose, true},
                        {{"switchover"}, config::Assist::kOff, false}};
    int number = 0;
    for (const Row& row : rows) {
        open.stack.stores[0].approvals = row.approvals;
        open.stack.stores[0].assist = row.assist;
        restart();
        const auto down = incident("inc-" + std::to_string(++number), "redis-1");
        ASSERT_EQ(react({down}), row.begins) << number;
        if (!row.begins) {
            EXPECT_THAT(policy->notes(down.id), Contains(HasSubstr("awaits approval")));
            continue;
        }
        run();
        EXPECT_EQ(word(), config::assist_name(row.assist));
        fake.clock.advance(1h);
    }
}

TEST_F(PolicyTest, TheDeathOfTheNextPrimaryWaitsForNobody) {
    const auto first = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({first}, "redis-1"));  // its thread hangs: the old primary does not come back
    EXPECT_FALSE(react({first, incident("inc-2", "redis-1", "redis.master_down")})) << "the same outage";
    const auto second = incident("inc-3", "redis-2");
    EXPECT_TRUE(react({first, second}, "redis-2"));
    run();
    EXPECT_EQ(store->built.back()["old_primary"], "redis-2");
    EXPECT_EQ(word(), "act");
}

// Dead for a moment, it is back without its data while its death is looked into: that execution finds that it answers.
TEST_F(PolicyTest, WhatIsFoundDuringARefusedExecutionIsNotHandledByIt) {
    const std::pair<bool, bool> rows[] = {{true, false}, {true, true}, {false, false}, {false, true}};
    int number = 0;
    for (const auto& [is_refused, is_restarted] : rows) {
        SCOPED_TRACE(++number);
        restart();
        store->outcome = is_refused ? Status(make_error(ErrorCode::kGuardRefused, "the master answers")) : Status();
        const auto down = incident("inc-down-" + std::to_string(number), "redis-1");
        ASSERT_TRUE(react({down}));
        const auto empty = incident("inc-empty-" + std::to_string(number), "redis-1", "redis.master_empty");
        EXPECT_FALSE(react({down, empty})) << "the same outage is in hand";
        run();
        if (is_restarted) restart();
        EXPECT_EQ(react({down, empty}), is_refused);
        EXPECT_FALSE(react({down, empty})) << "and once only";
        fake.clock.advance(1h);
    }
}

// No node is named: it is about whoever was primary when it was first seen.
TEST_F(PolicyTest, AnIncidentWithoutANodeIsAboutThePrimaryOfItsBeginning) {
    ASSERT_FALSE(react({}, "redis-1"));
    const auto first = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({first}));
    const auto unnamed = incident("inc-2", "cluster", "postgres.no_leader");
    EXPECT_FALSE(react({first, unnamed})) << "the same outage";
    EXPECT_FALSE(react({first, unnamed}, "redis-2")) << "still of the same outage, though redis-2 is primary now";
    const auto later = incident("inc-3", "cluster", "postgres.no_leader");
    EXPECT_TRUE(react({first, unnamed, later}, std::nullopt)) << "the next primary is gone";
}

TEST_F(PolicyTest, MaintenanceHoldsBackUntilItEndsByItself) {
    maintenance("redis", 1h);
    const auto down = incident("inc-1", "redis-1");
    EXPECT_FALSE(react({down}));
    EXPECT_THAT(policy->notes("inc-1"),
                Contains("policy: not acted: maintenance of redis until 2026-03-01T11:00:00.000Z: new disks"));
    fake.clock.advance(1h - 1ms);
    EXPECT_FALSE(react({down}));
    EXPECT_EQ(policy->notes("inc-1").size(), 1U);
    fake.clock.advance(1ms);
    EXPECT_TRUE(react({down})) << "still down when it ends";
    run();
    EXPECT_EQ(store->built.size(), 1U);
}

TEST_F(PolicyTest, MaintenanceOfAnotherStoreIsNoneOfOurs) {
    maintenance("qdrant", 1h);
    EXPECT_TRUE(react({incident("inc-1", "redis-1")}));
    maintenance("", 1h);
    EXPECT_FALSE(react({incident("inc-2", "redis-2")})) << "every store";
}

TEST_F(PolicyTest, ARestoreInPlaceThatHasNotEndedHoldsBackItsStore) {
    engine::ExecutionRecord restore;
    restore.id = "exec-1";
    restore.runbook = engine::kRestoreRunbook;
    restore.store = "redis";
    restore.started_at = fake.clock.wall_now();
    ASSERT_TRUE(temp.journal->put_execution(restore));
    const auto down = incident("inc-1", "redis-1");
    EXPECT_FALSE(react({down}));
    EXPECT_THAT(policy->notes("inc-1"), Contains("policy: not acted: the restore in place exec-1 has not ended"));
    restore.state = engine::ExecutionState::kSucceeded;
    ASSERT_TRUE(temp.journal->put_execution(restore));
    EXPECT_TRUE(react({down}));
}

// The judge knows the orders of a moment ago; the execution looks again before it touches anything.
TEST_F(PolicyTest, AWindowOpenedThisMomentHoldsToo) {
    const auto down = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({down}));
    engine::MaintenanceRecord window = maintenance("", 1h);
    run();
    EXPECT_TRUE(store->built.empty());
    EXPECT_TRUE(temp.journal->executions(10).value().empty());
    EXPECT_THAT(policy->notes("inc-1"), Contains(HasSubstr("policy: not acted: maintenance of every store")));
    window.ended_at = fake.clock.wall_now();
    ASSERT_TRUE(temp.journal->put_maintenance(window));
    fake.clock.advance(2s);
    EXPECT_TRUE(react({down})) << "ended by hand";
}

TEST_F(PolicyTest, AnInterruptedExecutionWaitsForTheEndOfMaintenance) {
    engine::ExecutionRecord left;
    left.id = "exec-1";
    left.runbook = "failover";
    left.store = "redis";
    left.trigger = "incident:inc-1";
    left.parameters = {{"old_primary", "redis-1"}, {"assist", "act"}};
    left.started_at = fake.clock.wall_now();
    ASSERT_TRUE(temp.journal->put_execution(left));
    maintenance("", 1min);
    restart();
    EXPECT_FALSE(react({}));
    fake.clock.advance(1min);
    EXPECT_TRUE(react({}));
    run();
    EXPECT_EQ(temp.journal->execution("exec-1").value()->state, engine::ExecutionState::kSucceeded);
}

TEST_F(PolicyTest, ObeysTheRunningDrillAndOnlyWhileItLives) {
    drill("off");
    ASSERT_TRUE(react({incident("inc-1", "redis-1")}));
    run();
    EXPECT_EQ(word(), "off");
    EXPECT_THAT(policy->notes("inc-1"), Contains("policy: assist off by q1-1"));
    processes.alive = false;
    fake.clock.advance(1min);
    ASSERT_TRUE(react({incident("inc-2", "redis-2")}));
    run();
    EXPECT_EQ(word(), "act") << "its word ends with its process";
}

TEST_F(PolicyTest, ADrillsActIsTheApprovalOfItsFailovers) {
    open.stack.stores[0].assist = config::Assist::kOff;
    open.stack.stores[0].approvals.clear();
    drill("act");
    ASSERT_TRUE(react({incident("inc-1", "redis-1")}));
    run();
    EXPECT_EQ(word(), "act");
}

TEST_F(PolicyTest, ADrillWithoutAWordLeavesItToTheStackFile) {
    drill("off", "stack");
    ASSERT_TRUE(react({incident("inc-1", "redis-1")}));
    run();
    EXPECT_EQ(word(), "act");
}

TEST_F(PolicyTest, TheSameFailureIsOnlyProposedForInTheCooldown) {
    ASSERT_TRUE(react({incident("inc-1", "redis-1")}));
    run();
    EXPECT_EQ(word(), "act");
    fake.clock.advance(1min);
    const auto again = incident("inc-2", "redis-1");
    ASSERT_TRUE(react({again})) << "it waits and explains all the same";
    run();
    EXPECT_EQ(word(), "propose");
    EXPECT_THAT(policy->notes("inc-2"), Contains(HasSubstr("policy: assist only proposes until")));
    EXPECT_THAT(policy->notes("inc-2"), Contains("policy: proposes to fence redis-1"));

    restart();  // the journal remembers
    fake.clock.advance(1min);
    ASSERT_TRUE(react({incident("inc-3", "redis-1")}));
    run();
    EXPECT_EQ(word(), "propose");
    fake.clock.advance(1min);
    ASSERT_TRUE(react({incident("inc-4", "redis-2")}));
    run();
    EXPECT_EQ(word(), "act") << "another node";
    fake.clock.advance(10min);
    ASSERT_TRUE(react({incident("inc-5", "redis-1")}));
    run();
    EXPECT_EQ(word(), "act") << "the cooldown is over";
}

TEST_F(PolicyTest, DrillsStartNoCooldown) {
    drill("act");
    ASSERT_TRUE(react({incident("inc-1", "redis-1")}));
    run();
    engine::DrillRecord over = *temp.journal->drill("q1-1").value();
    over.state = "finished";
    over.ended_at = fake.clock.wall_now();
    ASSERT_TRUE(temp.journal->put_drill(over));
    fake.clock.advance(1min);
    ASSERT_TRUE(react({incident("inc-2", "redis-1")}));
    run();
    EXPECT_EQ(word(), "act");
}

TEST_F(PolicyTest, TriesAgainWhileAnotherOneActs) {
    lock.busy = true;
    const auto down = incident("inc-1", "redis-1");
    ASSERT_TRUE(react({down}));
    run();
    EXPECT_THAT(policy->notes("inc-1"), Contains(HasSubstr("not begun")));
    EXPECT_FALSE(react({down}));
    EXPECT_TRUE(react({down, incident("inc-2", "redis-2")})) << "that is another outage";
    fake.clock.advance(2s);
    lock.why = "other words";
    EXPECT_TRUE(react({down}));
    run();
    EXPECT_THAT(policy->notes("inc-1"), ::testing::ElementsAre(HasSubstr("other words")))
        << "one line about all the tries";
    fake.clock.advance(2s);
    lock.busy = false;
    EXPECT_TRUE(react({down}));
}

}  // namespace
}  // namespace aeterna::app
