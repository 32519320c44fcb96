// A restore test as people and scripts read it, and what is known of earlier ones.
#pragma once

#include <string>
#include <vector>

#include "app/cli/session.h"
#include "engine/restore_test/restore_test.h"

namespace aeterna::app {

struct TestReport {
    std::string id;
    std::string store;
    std::string to;  // as asked for, or drawn
    std::optional<std::uint64_t> seed;  // it was drawn with
    WallTime at{};
    std::optional<Duration> objective;  // RTO
    engine::RestoreTestResult result;
    // Nothing without an objective, or without a server that took writes.
    [[nodiscard]] std::optional<bool> met() const;
};

// The member "restore_test" of docs/cli.md; also what is kept.
[[nodiscard]] Json to_json(const TestReport& report);
[[nodiscard]] std::vector<std::string> report_lines(const TestReport& report);
// 0 passed, 6 passed but slower than the objective, 1 failed, 4 unknown; 8 and 130 where time or a stop ended it.
[[nodiscard]] int exit_code_of(const TestReport& report);

[[nodiscard]] Result<std::vector<Json>> known_tests(const Session& session);
// {"at","verdict","recovery_seconds"}, or null.
[[nodiscard]] Json last_test_json(const std::vector<Json>& tests, const std::string& backup);
// "tested 2026-03-01T10:00:00.000Z: pass", "never tested".
[[nodiscard]] std::string last_test_text(const std::vector<Json>& tests, const std::string& backup);

}  // namespace aeterna::app
