// How a command ends: one JSON document whatever happened before the error, one --timeout for plan and run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "../engine/temp_journal.h"
#include "../support/fake_env.h"
#include "app/cli/act.h"
#include "app/cli/command_line.h"
#include "app/cli/look.h"
#include "app/cli/partial_result.h"

namespace aeterna::app {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(PartialResult, IsOneDocumentWithItsError) {
    Session session;
    session.options.json = true;
    session.run([&session]() -> Result<int> {
        return fail_with(session, Json{{"repeats", {1, 2}}}, make_error(ErrorCode::kServer, "run 3 of 3 was not measured"));
    });
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(session.execute(), exit_code(ErrorCode::kServer));
    const std::string out = ::testing::internal::GetCapturedStdout();
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("aeterna-dr: run 3 of 3 was not measured"));
    const auto document = parse_json(out, "stdout");
    ASSERT_TRUE(document) << out;
    EXPECT_EQ((*document)["repeats"].size(), 2U);
    EXPECT_EQ((*document)["error"]["message"], "run 3 of 3 was not measured");
}

TEST(RunContext, TheTimeoutIsForPlanAndRunTogether) {
    for (const bool is_given : {true, false}) {
        Session session;
        if (is_given) session.options.timeout = "60s";
        session.run([&]() -> Result<int> {
            const Duration expected = is_given ? 7s : Duration::zero();
            const MonoTime before = session.context(16min).deadline;
            const MonoTime deadline = run_context(session, 7s, 15min).deadline;
            const MonoTime after = session.context(16min).deadline;
            EXPECT_GE(deadline, before - expected);
            EXPECT_LE(deadline, after - expected);
            return 0;
        });
        EXPECT_EQ(session.execute(), 0);
    }
}

std::string shown(const std::string& assist) {
    const std::string path = ::testing::TempDir() + "aeterna-show.yaml";
    std::ofstream(path) << "name: t\nstores:\n  redis:\n    assist: " << assist
                        << "\n    approvals: [failover]\n    master_name: m\n"
                           "    nodes: [{name: redis-1, address: '127.0.0.1:1'}, {name: redis-2, address: '127.0.0.2:1'}]\n"
                           "    sentinels: [{name: sentinel-1, address: '127.0.0.1:2'}]\n";
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run_command_line({"--stack", path, "runbook", "show", "redis", "failover"}), 0);
    std::filesystem::remove(path);
    return ::testing::internal::GetCapturedStdout();
}

TEST(RunbookShow, IsTheFailoverThatThisStackWouldRun) {
    const std::string acting = shown("act");
    EXPECT_THAT(acting, HasSubstr("redis.fence_master"));
    EXPECT_THAT(acting, HasSubstr("\n   only if the master is proven dead and its host can be acted on\n"));
    EXPECT_THAT(acting, HasSubstr("Approved by 'assist: act' of stores.redis."));
    const std::string waiting = shown("off");
    EXPECT_THAT(waiting, Not(HasSubstr("redis.fence_master")));
    EXPECT_THAT(waiting, HasSubstr("Needs approval"));
}

struct JournalOnDisk {
    engine::testing::TempJournal temp;
    config::Stack stack;
    ::aeterna::testing::FakeEnv fake;
    JournalOnDisk() {
        stack.state_directory = temp.directory + "/state/inner";
        fake.files.content[journal_path(stack)] = "there";  // the look asks its Env, SQLite the disk
    }
};

TEST(ReadJournaled, TellsTheOpenIncidents) {
    JournalOnDisk disk;
    engine::IncidentSummary incident;
    incident.id = "inc-1";
    incident.state = "open";
    ASSERT_TRUE(disk.temp.journal->put_incident(incident));
    const Journaled found = read_journaled(disk.stack, disk.fake.env);
    ASSERT_EQ(found.open_incidents.size(), 1U);
    EXPECT_EQ(found.open_incidents[0].id, "inc-1");
    EXPECT_EQ(found.unreadable, "");
}

TEST(ReadJournaled, GarbageIsNotCalm) {
    JournalOnDisk disk;
    disk.temp.journal.reset();
    for (const auto& file : std::filesystem::directory_iterator(disk.stack.state_directory)) std::filesystem::remove(file);
    std::ofstream(journal_path(disk.stack)) << std::string(8192, 'x');
    EXPECT_THAT(read_journaled(disk.stack, disk.fake.env).unreadable, HasSubstr("journal"));
    disk.fake.files.content.clear();
    EXPECT_EQ(read_journaled(disk.stack, disk.fake.env).unreadable, "") << "none was written yet";
}

}  // namespace
}  // namespace aeterna::app
