// A restore test's report: exit codes, the contract's members, and the line that counts.
#include "app/cli/restore_test_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aeterna::app {
namespace {

using engine::CheckKind;
using engine::TestOutcome;
using ::testing::Contains;
using ::testing::HasSubstr;

TestReport passed() {
    TestReport report;
    report.store = "postgres";
    report.to = "latest";
    report.objective = 5min;
    report.result.plan.backup.id = "20261126T040425123Z-1a2b3c4d";
    report.result.plan.document = Json::object();
    report.result.phases = {{"plan", 1s}, {"fetch", 4s}, {"start", 2s}};
    report.result.checks = {{"start", CheckKind::kEssential, TestOutcome::kPassed, "", {}},
                            {"checksums", CheckKind::kContent, TestOutcome::kPassed, "12 pages", {}},
                            {"drill rows", CheckKind::kOther, TestOutcome::kNotChecked, "no drill", {}}};
    return report;
}

TEST(RestoreTestReport, ExitCodesFollowTheVerdict) {
    TestReport report = passed();
    EXPECT_EQ(exit_code_of(report), 0);
    EXPECT_EQ(report.met(), true);
    report.objective = 6s;
    EXPECT_EQ(exit_code_of(report), 6);
    report.objective.reset();
    EXPECT_EQ(report.met(), std::nullopt);
    EXPECT_EQ(exit_code_of(report), 0);
    for (const auto& [code, expected] :
         {std::pair(ErrorCode::kNoSpace, 4), std::pair(ErrorCode::kDeadline, 8), std::pair(ErrorCode::kTimeout, 8),
          std::pair(ErrorCode::kCancelled, 130), std::pair(ErrorCode::kCorrupt, 1)}) {
        report = passed();
        report.result.error = make_error(code, "over");
        EXPECT_EQ(exit_code_of(report), expected) << code_name(code);
    }
    report = passed();
    report.objective = 1ms;
    report.result.checks[1].outcome = TestOutcome::kFailed;
    EXPECT_EQ(exit_code_of(report), 1) << "what failed is not merely slow";
}

TEST(RestoreTestReport, SaysWhatWasNotChecked) {
    const auto lines = report_lines(passed());
    EXPECT_THAT(lines, Contains("  not checked  drill rows: no drill"));
    EXPECT_EQ(lines.back(), "PASS: takes writes after 7.0 s, within the objective of 5 min");
    TestReport slow = passed();
    slow.objective = 5s;
    EXPECT_EQ(report_lines(slow).back(), "PASS: takes writes after 7.0 s, MISSES the objective of 5 s");
    TestReport failed = passed();
    failed.result.checks[1].outcome = TestOutcome::kFailed;
    EXPECT_EQ(report_lines(failed).back(), "FAIL: checksums: 12 pages");
}

TEST(RestoreTestReport, IsWhatIsKeptAndShown) {
    const Json document = to_json(passed());
    for (const char* member :
         {"id", "store", "at", "to", "backup", "name", "server_version", "recovery_point", "verdict", "reason", "error",
          "recovery_seconds", "total_seconds", "objective_rto_seconds", "met", "bytes", "phases", "checks"}) {
        EXPECT_TRUE(document.contains(member)) << member;
    }
    EXPECT_EQ(last_test_json({document}, passed().result.plan.backup.id)["verdict"], "pass");
    EXPECT_TRUE(last_test_json({document}, "another").is_null());
    EXPECT_THAT(last_test_text({document}, passed().result.plan.backup.id), HasSubstr(": pass"));
    EXPECT_EQ(last_test_text({}, "another"), "never tested");
}

}  // namespace
}  // namespace aeterna::app
