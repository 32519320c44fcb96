#include "engine/runbook/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <thread>

#include "temp_journal.h"

namespace aeterna::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TempJournal;

const WallTime kNow = from_unix_us(1'772'359'200'123'456);

ExecutionRecord sample_execution(const std::string& id, WallTime at) {
    ExecutionRecord record;
    record.id = id;
    record.runbook = "failover";
    record.store = "redis";
    record.parameters = {{"old_primary", "redis-1"}};
    record.trigger = "incident:inc-1";
    record.started_at = at;
    record.facts = {{"redis.offset", 12345678901234}, {"text", "it's \"quoted\"\n"}};
    return record;
}

TEST(Journal, KeepsAnExecution) {
    TempJournal temp;
    ExecutionRecord record = sample_execution("exec-1", kNow);
    ASSERT_TRUE(temp.journal->put_execution(record));
    record.state = ExecutionState::kFailed;
    record.ended_at = kNow + std::chrono::seconds(5);
    record.next_step = 3;
    record.summary = "no";
    record.error = wrap_error(make_error(ErrorCode::kTimeout, "silent", "Wait.", Effect::kUnknown), "step failed");
    ASSERT_TRUE(temp.journal->put_execution(record));
    const auto read = temp.reopen()->execution("exec-1");
    ASSERT_TRUE(read && *read);
    EXPECT_EQ((*read)->parameters, record.parameters);
    EXPECT_EQ((*read)->facts, record.facts);
    EXPECT_EQ((*read)->state, ExecutionState::kFailed);
    EXPECT_EQ((*read)->started_at, kNow);
    EXPECT_EQ((*read)->ended_at, record.ended_at);
    EXPECT_EQ((*read)->next_step, 3u);
    EXPECT_EQ((*read)->trigger, "incident:inc-1");
    EXPECT_EQ((*read)->error->to_string(), "step failed: silent");
    EXPECT_EQ((*read)->error->effect, Effect::kUnknown);
    EXPECT_EQ((*read)->error->code, ErrorCode::kTimeout);
    EXPECT_FALSE(temp.journal->execution("exec-2").value());
}

TEST(Journal, ListsNewestFirstUpToTheLimit) {
    TempJournal temp;
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(temp.journal->put_execution(sample_execution("exec-" + std::to_string(i), kNow + i * 1s)));
        DrillRecord drill{"drill-" + std::to_string(i), "q1", "running", kNow + i * 1s, {}, {{"seed", i}}, nullptr};
        ASSERT_TRUE(temp.journal->put_drill(drill));
    }
    const auto executions = temp.journal->executions(2).value();
    ASSERT_EQ(executions.size(), 2u);
    EXPECT_EQ(executions[0].id, "exec-4");
    EXPECT_EQ(temp.journal->drills(1).value()[0].id, "drill-4");
    EXPECT_EQ(temp.journal->drill("drill-2").value()->parameters["seed"], 2);
    EXPECT_TRUE(temp.journal->drill("drill-2").value()->scorecard.is_null());
}

TEST(Journal, KeepsStepsInTheOrderTheyWereWritten) {
    TempJournal temp;
    for (const char* phase : {"check", "apply", "verify"}) {
        ASSERT_TRUE(temp.journal->append_step({"exec-1", 2, "redis.pause", phase, "started", Effect::kPartial, kNow, "d"}));
    }
    ASSERT_TRUE(temp.journal->append_step({"exec-2", 0, "x", "check", "started", Effect::kNone, kNow, ""}));
    const auto steps = temp.journal->steps("exec-1").value();
    ASSERT_EQ(steps.size(), 3u);
    EXPECT_EQ(steps[0].phase, "check");
    EXPECT_EQ(steps[2].phase, "verify");
    EXPECT_EQ(steps[1].index, 2u);
    EXPECT_EQ(steps[1].effect, Effect::kPartial);
}

TEST(Journal, GivesOpenIncidentsAndThoseClosedSince) {
    TempJournal temp;
    const auto put = [&](const std::string& id, std::optional<WallTime> closed_at, WallTime opened_at) {
        ASSERT_TRUE(temp.journal->put_incident({id, "redis.primary_down", "redis", "redis-1", "critical",
                                                closed_at ? "closed" : "open", "down", {"a: b", "c"}, opened_at, closed_at}));
    };
    put("old", kNow - 2h, kNow - 3h);
    put("open", std::nullopt, kNow - 10h);
    put("recent", kNow - 1min, kNow - 1h);
    const auto incidents = temp.journal->incidents(kNow - 1h, 10).value();
    ASSERT_EQ(incidents.size(), 2u);
    EXPECT_EQ(incidents[0].id, "recent");
    EXPECT_EQ(incidents[1].id, "open");
    EXPECT_THAT(incidents[1].reasons, ElementsAre("a: b", "c"));
    EXPECT_FALSE(incidents[1].closed_at);
}

TEST(Journal, KeepsEventsAndUnhealedFaults) {
    TempJournal temp;
    for (int i = 3; i >= 0; --i) {
        ASSERT_TRUE(temp.journal->append_event({kNow + i * 1s, "redis", "primary.changed", "redis-1", std::to_string(i)}));
    }
    const auto events = temp.journal->events(kNow + 1s, kNow + 2s).value();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].detail, "1");
    FaultRecord fault{"fault-1", "drill-1", "redis", "kill", "intended", {{"node", "redis-1"}}, kNow};
    ASSERT_TRUE(temp.journal->put_fault(fault));
    EXPECT_EQ(temp.journal->unhealed_faults().value().at(0).inverse["node"], "redis-1");
    fault.state = "healed";
    ASSERT_TRUE(temp.journal->put_fault(fault));
    EXPECT_TRUE(temp.journal->unhealed_faults().value().empty());
}

TEST(Journal, IsPrivate) {
    TempJournal temp;
    ASSERT_TRUE(temp.journal->put_execution(sample_execution("exec-1", kNow)));
    struct stat status {};
    for (const char* suffix : {"", "-wal", "-shm"}) {
        ASSERT_EQ(stat((temp.path + suffix).c_str(), &status), 0) << suffix;
        EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
    }
    ASSERT_EQ(stat((temp.directory + "/state").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(Journal, IsSharedByManyConnectionsAndThreads) {
    TempJournal temp;
    temp.journal.reset();
    std::filesystem::remove_all(temp.directory + "/state");
    constexpr int kThreads = 4, kEach = 20;
    std::vector<std::jthread> threads;  // the test's own: the journal itself starts none
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&temp, t] {
            std::unique_ptr<Journal> mine = temp.reopen();  // all create it at once
            ASSERT_NE(mine, nullptr);
            for (int i = 0; i < kEach; ++i) {
                const Status put = mine->append_step({"exec-1", 0, std::to_string(t), "apply", "done", {}, kNow, ""});
                EXPECT_TRUE(put) << put.error().to_string();
            }
        });
    }
    threads.clear();
    EXPECT_EQ(temp.reopen()->steps("exec-1").value().size(), static_cast<std::size_t>(kThreads * kEach));
}

TEST(Journal, KeepsMaintenanceWindowsUntilTheyAreOver) {
    TempJournal temp;
    const MaintenanceRecord all{"maint-1", "", "new disks", kNow, kNow + 2h, std::nullopt};
    MaintenanceRecord redis{"maint-2", "redis", "", kNow + 1s, kNow + 1h, std::nullopt};
    ASSERT_TRUE(temp.journal->put_maintenance(all));
    ASSERT_TRUE(temp.journal->put_maintenance(redis));
    auto windows = temp.reopen()->maintenance(kNow + 5s).value();
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_EQ(windows[0].id, "maint-2");
    EXPECT_EQ(windows[1].reason, "new disks");
    EXPECT_EQ(windows[1].until, kNow + 2h);
    EXPECT_TRUE(windows[1].is_about("postgres"));
    EXPECT_FALSE(windows[0].is_about("postgres"));
    EXPECT_TRUE(windows[0].holds(kNow + 1h - 1us));
    EXPECT_FALSE(windows[0].holds(kNow + 1h)) << "it ends by itself";

    redis.ended_at = kNow + 10s;
    ASSERT_TRUE(temp.journal->put_maintenance(redis));
    windows = temp.journal->maintenance(kNow + 11s).value();
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_EQ(windows[0].id, "maint-1");
    EXPECT_FALSE(temp.journal->maintenance(kNow + 9s).value()[0].holds(kNow + 9s)) << "ended by hand";
    EXPECT_TRUE(temp.journal->maintenance(kNow + 3h).value().empty());
}

TEST(Journal, SeesWhatAnotherConnectionWroteAtOnce) {
    TempJournal temp;
    const std::unique_ptr<Journal> other = temp.reopen();
    ASSERT_TRUE(temp.journal->put_execution(sample_execution("exec-1", kNow)));
    EXPECT_TRUE(other->execution("exec-1").value());
}

TEST(Journal, KeepsRequestsUntilTheyAreAnswered) {
    TempJournal temp;
    RequestRecord request{"req-1", "incident.close", "inc-1", "ann", kNow, Json()};
    ASSERT_TRUE(temp.journal->put_request(request));
    ASSERT_TRUE(temp.journal->put_request({"req-0", "drill.abort", "q1-1", "bob", kNow - 1s, Json()}));
    const auto open = temp.reopen()->open_requests().value();
    ASSERT_EQ(open.size(), 2u);
    EXPECT_EQ(open[0].id, "req-0");
    EXPECT_EQ(open[1].kind, "incident.close");
    EXPECT_EQ(open[1].subject, "inc-1");
    EXPECT_EQ(open[1].requester, "ann");
    EXPECT_EQ(open[1].at, kNow);
    EXPECT_TRUE(open[1].answer.is_null());
    request.answer = {{"summary", "closed"}};
    ASSERT_TRUE(temp.journal->put_request(request));
    EXPECT_EQ(temp.journal->open_requests().value().size(), 1u);
    EXPECT_EQ(temp.journal->request("req-1").value()->answer["summary"], "closed");
    EXPECT_FALSE(temp.journal->request("req-9").value());
}

TEST(Journal, KnowsWhichDrillsHaveNotEndedAndWhatTheyBroke) {
    TempJournal temp;
    for (const char* state : {"running", "ending", "finished", "aborted"}) {
        DrillRecord drill;
        drill.id = std::string("q1-") + state;
        drill.drill = "q1";
        drill.state = state;
        drill.started_at = kNow;
        ASSERT_TRUE(temp.journal->put_drill(drill));
        ASSERT_TRUE(temp.journal->put_fault({"fault-" + drill.id, drill.id, "redis", "kill", "healed", {}, kNow}));
    }
    const auto unfinished = temp.journal->unfinished_drills().value();
    ASSERT_EQ(unfinished.size(), 2u);
    EXPECT_EQ(unfinished[0].state, "ending");
    EXPECT_EQ(unfinished[1].state, "running");
    const auto faults = temp.journal->faults_of("q1-running").value();
    ASSERT_EQ(faults.size(), 1u) << "healed ones count too";
    EXPECT_EQ(faults[0].id, "fault-q1-running");
}

TEST(Journal, BringsAnOlderSchemaUpToDateAndKeepsWhatIsInIt) {
    TempJournal temp;
    ASSERT_TRUE(temp.journal->put_incident({"inc-1", "redis.master_down", "redis", "redis-1", "critical", "open", "down",
                                            {}, kNow, {}}));
    temp.journal.reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(temp.path.c_str(), &raw), SQLITE_OK);
    const char* first = "DROP TABLE requests; DROP TABLE maintenance; ALTER TABLE incidents DROP COLUMN acknowledged_at;"
                        "ALTER TABLE incidents DROP COLUMN acknowledged_by; PRAGMA user_version = 1";
    ASSERT_EQ(sqlite3_exec(raw, first, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
    sqlite3_close(raw);
    temp.journal = temp.reopen();
    auto incident = temp.journal->incident("inc-1").value();
    ASSERT_TRUE(incident);
    EXPECT_FALSE(incident->acknowledged_at);
    incident->acknowledged_at = kNow + 1s;
    incident->acknowledged_by = "ann";
    ASSERT_TRUE(temp.journal->put_incident(*incident));
    EXPECT_EQ(temp.journal->incident("inc-1").value()->acknowledged_by, "ann");
    EXPECT_EQ(temp.journal->incident("inc-1").value()->acknowledged_at, kNow + 1s);
    EXPECT_FALSE(temp.journal->incident("inc-2").value());
    EXPECT_TRUE(temp.journal->open_requests().value().empty());
    EXPECT_TRUE(temp.journal->maintenance(kNow).value().empty());
}

TEST(Journal, FindsAnOpenIncidentBehindAnyNumberOfNewerOnes) {
    TempJournal temp;
    const auto put = [&](const std::string& id, WallTime opened_at, std::optional<WallTime> closed_at) {
        ASSERT_TRUE(temp.journal->put_incident({id, "redis.replica_down", "redis", id, "degraded",
                                                closed_at ? "closed" : "open", "", {}, opened_at, closed_at}));
    };
    put("inc-old", kNow - 24h, std::nullopt);
    for (int i = 0; i < 300; ++i) put("inc-" + std::to_string(i), kNow - 1h, kNow);
    put("inc-new", kNow, std::nullopt);
    const auto open = temp.journal->open_incidents().value();
    ASSERT_EQ(open.size(), 2u);
    EXPECT_EQ(open[0].id, "inc-new");
    EXPECT_EQ(open[1].id, "inc-old");
}

// A journal with something of every kind that ended long ago, and what must outlive it.
class Prune : public ::testing::Test {
  protected:
    void put_incident(const std::string& id, WallTime opened_at, std::optional<WallTime> closed_at) {
        ASSERT_TRUE(temp.journal->put_incident({id, "redis.master_down", "redis", "redis-1", "critical",
                                                closed_at ? "closed" : "open", "", {}, opened_at, closed_at}));
    }
    void put_execution(const std::string& id, WallTime at, ExecutionState state, Json facts = Json::object()) {
        ExecutionRecord record = sample_execution(id, at);
        record.state = state;
        record.facts = std::move(facts);
        if (state != ExecutionState::kRunning && state != ExecutionState::kAwaitingApproval) record.ended_at = at + 1s;
        ASSERT_TRUE(temp.journal->put_execution(record));
        ASSERT_TRUE(temp.journal->append_step({id, 0, "toy", "apply", "started", Effect::kNone, at, ""}));
    }
    void put_event(const std::string& detail, WallTime at) {
        ASSERT_TRUE(temp.journal->append_event({at, "redis", "x", "redis-1", detail}));
    }
    std::vector<std::string> events() {
        std::vector<std::string> details;
        for (const StoreEvent& event : temp.journal->events(WallTime{}, kNow).value()) details.push_back(event.detail);
        return details;
    }
    // As serve does.
    std::size_t prune() {
        std::size_t total = 0;
        while (const std::size_t removed = temp.journal->prune(kLimit).value()) total += removed;
        return total;
    }

    const WallTime kLimit = kNow - 24h;
    const WallTime kOld = kNow - 48h;
    TempJournal temp;
};

TEST_F(Prune, ForgetsWhatEndedLongAgo) {
    put_incident("inc-old", kOld, kOld + 1min);
    put_incident("inc-new", kNow - 1h, kNow);
    put_execution("exec-old", kOld, ExecutionState::kSucceeded);
    put_execution("exec-new", kNow - 1h, ExecutionState::kFailed);
    put_event("old", kOld);
    put_event("new", kNow - 1h);
    ASSERT_TRUE(temp.journal->put_request({"req-old", "incident.ack", "inc-old", "ann", kOld, {{"summary", "done"}}}));
    ASSERT_TRUE(temp.journal->put_request({"req-open", "incident.ack", "inc-old", "ann", kOld, Json()}));
    EXPECT_EQ(prune(), 5u) << "incident, execution, step, event, request";
    EXPECT_FALSE(temp.journal->incident("inc-old").value());
    EXPECT_TRUE(temp.journal->incident("inc-new").value());
    EXPECT_FALSE(temp.journal->execution("exec-old").value());
    EXPECT_TRUE(temp.journal->steps("exec-old").value().empty());
    EXPECT_TRUE(temp.journal->execution("exec-new").value());
    EXPECT_EQ(temp.journal->steps("exec-new").value().size(), 1u);
    EXPECT_THAT(events(), ElementsAre("new"));
    EXPECT_FALSE(temp.journal->request("req-old").value());
    EXPECT_TRUE(temp.journal->request("req-open").value());
}

TEST_F(Prune, KeepsOpenIncidentsAndUnfinishedExecutionsWithTheirEvents) {
    put_incident("inc-open", kOld, std::nullopt);
    put_event("before it", kOld - 30s);
    put_event("long before it", kOld - 2min);
    put_event("in it", kOld + 5h);
    EXPECT_EQ(prune(), 1u);
    EXPECT_THAT(events(), ElementsAre("before it", "in it"));

    TempJournal other;
    std::swap(temp.journal, other.journal);
    put_execution("exec-running", kOld, ExecutionState::kRunning);
    put_execution("exec-unknown", kOld + 1s, ExecutionState::kUnknown);
    put_execution("exec-waiting", kOld + 2s, ExecutionState::kAwaitingApproval);
    put_execution("exec-half-undone", kOld + 3s, ExecutionState::kFailed, {{"runner.unwinding", {{"code", "io"}}}});
    put_event("during", kOld + 4s);
    EXPECT_EQ(prune(), 0u);
    EXPECT_EQ(temp.journal->executions(10).value().size(), 4u);
    std::swap(temp.journal, other.journal);
}

TEST_F(Prune, KeepsTheEvidenceOfEveryDrill) {
    DrillRecord drill;
    drill.id = "q1-old";
    drill.drill = "q1";
    drill.state = "finished";
    drill.started_at = kOld;
    drill.ended_at = kOld + 2min;
    ASSERT_TRUE(temp.journal->put_drill(drill));
    put_incident("inc-in", kOld + 10s, kOld + 5min);
    put_incident("inc-after", kOld + 2h, kOld + 3h);
    put_execution("exec-in", kOld + 11s, ExecutionState::kSucceeded);
    put_execution("exec-after", kOld + 2h, ExecutionState::kSucceeded);
    put_event("in", kOld + 1min);
    put_event("after", kOld + 4h);
    EXPECT_EQ(prune(), 4u);
    EXPECT_TRUE(temp.journal->incident("inc-in").value());
    EXPECT_FALSE(temp.journal->incident("inc-after").value());
    EXPECT_TRUE(temp.journal->execution("exec-in").value());
    EXPECT_EQ(temp.journal->steps("exec-in").value().size(), 1u);
    EXPECT_FALSE(temp.journal->execution("exec-after").value());
    EXPECT_THAT(events(), ElementsAre("in"));
    EXPECT_TRUE(temp.journal->drill("q1-old").value());
}

TEST_F(Prune, EndsWithManyRecords) {
    for (int i = 0; i < 300; ++i) put_event("old", kOld + std::chrono::milliseconds(i));
    EXPECT_EQ(prune(), 300u);
    EXPECT_EQ(prune(), 0u);
}

TEST(Journal, RefusesANewerSchemaAndWhatIsNoJournal) {
    TempJournal temp;
    temp.journal.reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(temp.path.c_str(), &raw), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(raw, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
    const auto newer = open_sqlite_journal(temp.path);
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().code, ErrorCode::kConfiguration);

    const std::string text = temp.directory + "/text";
    FILE* file = fopen(text.c_str(), "w");
    fputs(std::string(5000, 'x').c_str(), file);
    fclose(file);
    const auto foreign = open_sqlite_journal(text);
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, ErrorCode::kIo);
    EXPECT_THAT(foreign.error().message, HasSubstr("not a database"));
    EXPECT_FALSE(open_sqlite_journal("/proc/none/journal"));
}

TEST(Records, IdsSortByTime) {
    EXPECT_EQ(make_record_id("exec", kNow, 0xabc3f2a), "exec-20260301T100000Z-3f2a");
    EXPECT_LT(make_record_id("exec", kNow, 0xffff), make_record_id("exec", kNow + 1s, 0));
}

TEST(Records, StateNamesGoBothWays) {
    for (int i = 0; i <= static_cast<int>(ExecutionState::kAborted); ++i) {
        const auto state = static_cast<ExecutionState>(i);
        EXPECT_EQ(execution_state_from_name(execution_state_name(state)).value(), state);
    }
    EXPECT_FALSE(execution_state_from_name("dancing"));
}

}  // namespace
}  // namespace aeterna::engine
