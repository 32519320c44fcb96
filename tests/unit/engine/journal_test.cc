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

// A journal of the version before maintenance windows: the table is added, the schema's number stays.
TEST(Journal, AddsMaintenanceWindowsToAnOlderFile) {
    TempJournal temp;
    ASSERT_TRUE(temp.journal->put_execution(sample_execution("exec-1", kNow)));
    temp.journal.reset();
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(temp.path.c_str(), &raw), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(raw, "DROP TABLE maintenance", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
    temp.journal = temp.reopen();
    ASSERT_NE(temp.journal, nullptr);
    EXPECT_TRUE(temp.journal->put_maintenance({"maint-1", "", "", kNow, kNow + 1h, std::nullopt}));
    EXPECT_TRUE(temp.journal->execution("exec-1").value());
}

TEST(Journal, SeesWhatAnotherConnectionWroteAtOnce) {
    TempJournal temp;
    const std::unique_ptr<Journal> other = temp.reopen();
    ASSERT_TRUE(temp.journal->put_execution(sample_execution("exec-1", kNow)));
    EXPECT_TRUE(other->execution("exec-1").value());
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
