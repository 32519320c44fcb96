// The verdict of a restore test, the record of tests and the forecast out of it, and which sandboxes are dead.
#include "engine/restore_test/restore_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/fake_env.h"
#include "engine/restore_test/history.h"
#include "engine/restore_test/sandbox.h"

namespace aeterna::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

RestoreTestResult good() {
    RestoreTestResult result;
    result.phases = {{"plan", 1s}, {"fetch", 4s}, {"start", 2s}, {"check", 9s}, {"stop", 1s}};
    result.checks = {{"start", CheckKind::kEssential, TestOutcome::kPassed, "", {}},
                     {"databases", CheckKind::kEssential, TestOutcome::kPassed, "", {}},
                     {"amcheck", CheckKind::kContent, TestOutcome::kPassed, "", {}},
                     {"drill rows", CheckKind::kOther, TestOutcome::kNotChecked, "no drill", {}},
                     {"checksums", CheckKind::kContent, TestOutcome::kNotChecked, "off", {}}};
    return result;
}

TEST(RestoreTest, PassesWithWhatCouldNotBeLookedAtSaid) {
    EXPECT_EQ(judge(good()), Verdict::kPass);
    EXPECT_EQ(reason_of(good()), "");
    EXPECT_EQ(good().recovery(), Duration(7s)) << "without the questions: nobody waits for them";
    EXPECT_EQ(good().total(), Duration(17s));
}

TEST(RestoreTest, OneFailedCheckFails) {
    for (std::size_t i = 0; i < good().checks.size(); ++i) {
        RestoreTestResult result = good();
        result.checks[i].outcome = TestOutcome::kFailed;
        result.error = make_error(ErrorCode::kDeadline, "late");
        EXPECT_EQ(judge(result), Verdict::kFail) << i;
        EXPECT_THAT(reason_of(result), HasSubstr(result.checks[i].name));
    }
}

TEST(RestoreTest, WhatWasNotLookedAtIsNoPass) {
    RestoreTestResult result = good();
    result.checks[1].outcome = TestOutcome::kNotChecked;
    EXPECT_EQ(judge(result), Verdict::kUnknown) << "an essential one";
    result = good();
    result.checks[2].outcome = TestOutcome::kNotChecked;
    EXPECT_EQ(judge(result), Verdict::kUnknown) << "nothing read the data";
    EXPECT_EQ(reason_of(result), "nothing could read the data itself");
    result = good();
    result.checks.clear();
    EXPECT_EQ(judge(result), Verdict::kUnknown);
    EXPECT_FALSE(result.recovery());
}

TEST(RestoreTest, AHinderedTestSaysNothingAgainstTheBackup) {
    for (const ErrorCode code : {ErrorCode::kNoSpace, ErrorCode::kDeadline, ErrorCode::kCancelled, ErrorCode::kIo}) {
        RestoreTestResult result = good();
        result.error = make_error(code, "hindered");
        EXPECT_EQ(judge(result), Verdict::kUnknown);
        EXPECT_EQ(reason_of(result), "hindered");
    }
    for (const ErrorCode code : {ErrorCode::kCorrupt, ErrorCode::kNotFound}) {
        RestoreTestResult result = good();
        result.error = make_error(code, "damaged");
        EXPECT_EQ(judge(result), Verdict::kFail);
    }
}

Json document(const std::string& id, const std::string& verdict, double fetch) {
    return Json{{"backup", id},
                {"store", "postgres"},
                {"verdict", verdict},
                {"bytes", 1000},
                {"phases", Json::array({{{"name", "plan"}, {"seconds", 1}},
                                        {{"name", "fetch"}, {"seconds", fetch}},
                                        {{"name", "start"}, {"seconds", 2}},
                                        {{"name", "check"}, {"seconds", 50}}})}};
}

TEST(RestoreTestHistory, KeepsTheNewestAndFindsTheLastOfABackup) {
    aeterna::testing::FakeEnv fake;
    EXPECT_THAT(*recorded_tests("/state", fake.env), IsEmpty());
    for (int i = 0; i < 1003; ++i) {
        const Json one = document(i == 500 ? "wanted" : std::to_string(i), "pass", 1);
        ASSERT_TRUE(record_test("/state", one, fake.env, fake.clock.context(1s)));
    }
    fake.files.content["/state/restore-tests.jsonl"] += "{torn";
    const auto tests = recorded_tests("/state", fake.env);
    ASSERT_TRUE(tests);
    ASSERT_THAT(*tests, SizeIs(1000));
    EXPECT_EQ(find_string(tests->front(), "backup"), "3");
    ASSERT_NE(last_test_of(*tests, "wanted"), nullptr);
    EXPECT_EQ(last_test_of(*tests, "0"), nullptr);
}

TEST(RestoreTestHistory, ForecastsFromTheLastThatPassed) {
    const std::vector<Json> tests{document("a", "pass", 1), document("b", "pass", 10), document("c", "fail", 99)};
    const auto basis = forecast_basis(tests, "postgres");
    ASSERT_TRUE(basis);
    EXPECT_DOUBLE_EQ(forecast_seconds(*basis, {}), 13);
    EXPECT_DOUBLE_EQ(forecast_seconds(*basis, {2000, {}}), 23) << "twice the bytes, the same fixed costs";
    EXPECT_FALSE(forecast_basis(tests, "redis"));
    EXPECT_FALSE(forecast_basis({tests[2]}, "postgres"));
    EXPECT_FALSE(forecast_basis({Json{{"store", "postgres"}, {"verdict", "pass"}}}, "postgres"));
}

TEST(RestoreTestHistory, ForecastsWhatIsReplayedByTheRateOfTheTest) {
    Json test = document("a", "pass", 4);
    test["bytes"] = 400 << 20;
    test["replay"] = {{"bytes", 100 << 20}};
    test["replay_seconds"] = 1.5;
    const auto forecast = [&](const ForecastSize& now) { return forecast_seconds(forecast_basis({test}, "postgres").value(), now); };
    EXPECT_DOUBLE_EQ(forecast({}), 1 + 4 + 2);
    EXPECT_DOUBLE_EQ(forecast({300U << 20, 100U << 20}), 1 + 4 + 2) << "the same once more";
    EXPECT_DOUBLE_EQ(forecast({300U << 20, 0}), 1 + 3 + 0.5);
    EXPECT_DOUBLE_EQ(forecast({300U << 20, 1000U << 20}), 1 + 13 + 0.5 + 15) << "ten times as much of the log";
    test["replay"] = {{"bytes", 1 << 20}};
    EXPECT_DOUBLE_EQ(forecast({300U << 20, 1000U << 20}), 1 + 13 + 2) << "so little says nothing of a rate";
}

TEST(RestoreTestSandbox, OnlyItsOwnNamesAreSwept) {
    EXPECT_TRUE(is_sandbox_name("restore-test-0123abcd"));
    for (const char* name : {"restore-test-", "restore-test-0123abc", "restore-test-0123abcde", "restore-test-0123abcg",
                             "restore-tests.jsonl", "drills"}) {
        EXPECT_FALSE(is_sandbox_name(name)) << name;
    }
}

// Processes by table: what is alive, and what was signalled.
class TableProcesses final : public aeterna::testing::FakeProcesses {
  public:
    std::vector<env::ProcessInfo> table;
    std::vector<std::pair<int, int>> signals;

    std::optional<env::ProcessInfo> inspect(int pid) override {
        for (const auto& process : table) {
            if (process.id.pid == pid) return process;
        }
        return std::nullopt;
    }
    bool is_alive(const env::ProcessId& id) override {
        const auto found = inspect(id.pid);
        return found && found->id == id;
    }
    Status signal(const env::ProcessId& id, int number) override {
        signals.emplace_back(id.pid, number);
        std::erase_if(table,
                      [&](const auto& process) { return process.id.pid == id.pid || process.parent_pid == id.pid; });
        return {};
    }
    bool wait_gone(const env::ProcessId& id, const env::Context&) override { return !is_alive(id); }
    std::vector<env::ProcessInfo> list() override { return table; }
    std::uint32_t effective_uid() override { return 0; }
    int own_pid() override { return 10; }
};

TEST(RestoreTestSandbox, SweepsTheDeadAndEndsOnlyWhatRunsInThem) {
    aeterna::testing::FakeEnv fake;
    TableProcesses processes;
    const env::Env env{fake.clock,  fake.random, fake.threads,       fake.files, processes,
                       fake.dialer, fake.http,   fake.http_listener, fake.sql,   fake.log};
    auto& content = fake.files.content;
    content["/w"] = "";
    content["/w/restore-test-00000001/marker.json"] = R"({"pid": 20, "start_ticks": 5})";  // lives
    content["/w/restore-test-00000002/marker.json"] = R"({"pid": 20, "start_ticks": 4})";  // another process by now
    content["/w/restore-test-00000002/data/PG_VERSION"] = "15";
    content["/w/restore-test-00000003/.marker.json.tmp-7-0"] = "";  // never finished
    content["/w/restore-test-00000004/mine"] = "";                  // somebody's
    content["/w/restore-test-00000005/marker.json"] = "what?";
    content["/w/other/marker.json"] = R"({"pid": 1, "start_ticks": 1})";
    processes.table = {{{20, 5}, 1, 'S', 0, "aeterna-dr", "/"},
                       {{30, 1}, 1, 'S', 0, "postgres", "/w/restore-test-00000002/data"},
                       {{31, 1}, 30, 'S', 0, "postgres", "/w/restore-test-00000002/data"},
                       {{32, 1}, 1, 'S', 0, "bash", "/w/restore-test-00000002/data"},
                       {{33, 1}, 1, 'S', 0, "postgres", "/w/restore-test-00000001/data"},
                       {{34, 1}, 1, 'S', 0, "postgres", "/w/restore-test-00000002x"}};
    const auto removed = remove_dead_sandboxes({"/w", std::nullopt, {"postgres"}}, env, fake.clock.context(1s));
    ASSERT_TRUE(removed);
    EXPECT_EQ(*removed, 2U);
    EXPECT_THAT(processes.signals, ElementsAre(std::pair(30, 3)))
        << "the postmaster, by SIGQUIT; its children go with it";
    EXPECT_FALSE(content.contains("/w/restore-test-00000002/data/PG_VERSION"));
    for (const char* kept : {"/w/restore-test-00000001/marker.json", "/w/restore-test-00000004/mine",
                             "/w/restore-test-00000005/marker.json", "/w/other/marker.json"}) {
        EXPECT_TRUE(content.contains(kept)) << kept;
    }
    EXPECT_FALSE(content.contains("/w/restore-test-00000003/.marker.json.tmp-7-0"));
}

// Whoever removes it may be killed at any file: what is left is still known for what it is.
TEST(RestoreTestSandbox, ItsMarkerGoesLast) {
    class CutOff final : public aeterna::testing::FakeFiles {
      public:
        Status remove_tree(const std::string& path) override {
            if (path.ends_with("/zone")) return make_error(ErrorCode::kIo, "killed here");
            return FakeFiles::remove_tree(path);
        }
    };
    aeterna::testing::FakeEnv fake;
    CutOff files;
    TableProcesses processes;
    const env::Env env{fake.clock,  fake.random, fake.threads,       files,    processes,
                       fake.dialer, fake.http,   fake.http_listener, fake.sql, fake.log};
    files.content = {{"/w", ""},
                     {"/w/restore-test-00000002/data/PG_VERSION", "15"},
                     {"/w/restore-test-00000002/marker.json", R"({"pid": 20, "start_ticks": 4})"},
                     {"/w/restore-test-00000002/zone/1", ""}};
    EXPECT_FALSE(remove_dead_sandboxes({"/w", std::nullopt, {"postgres"}}, env, fake.clock.context(1s)));
    EXPECT_FALSE(files.content.contains("/w/restore-test-00000002/data/PG_VERSION"));
    EXPECT_TRUE(files.content.contains("/w/restore-test-00000002/marker.json"));
}

}  // namespace
}  // namespace aeterna::engine
