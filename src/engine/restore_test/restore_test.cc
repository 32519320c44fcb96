#include "engine/restore_test/restore_test.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::engine {
namespace {

const TestCheck* first_of(const RestoreTestResult& result, TestOutcome outcome, std::optional<CheckKind> kind) {
    const auto found = std::find_if(result.checks.begin(), result.checks.end(), [&](const TestCheck& check) {
        return check.outcome == outcome && (!kind || check.kind == *kind);
    });
    return found == result.checks.end() ? nullptr : &*found;
}

// What is missing or damaged in the repository tells against the backup; a full disk or a deadline does not.
bool tells_against_backup(const Error& error) {
    return error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kNotFound;
}

}  // namespace

std::string_view test_outcome_name(TestOutcome outcome) {
    switch (outcome) {
        case TestOutcome::kPassed: return "passed";
        case TestOutcome::kFailed: return "failed";
        case TestOutcome::kNotChecked: break;
    }
    return "not_checked";
}

std::optional<Duration> RestoreTestResult::recovery() const {
    Duration sum{};
    for (const char* name : {"plan", "fetch", "start"}) {
        const auto found =
            std::find_if(phases.begin(), phases.end(), [&](const TestPhase& phase) { return phase.name == name; });
        if (found == phases.end()) return std::nullopt;
        sum += found->took;
    }
    const bool is_up = std::any_of(checks.begin(), checks.end(), [](const TestCheck& check) {
        return check.name == "start" && check.outcome == TestOutcome::kPassed;
    });
    return is_up ? std::optional(sum) : std::nullopt;
}

Duration RestoreTestResult::total() const {
    Duration sum{};
    for (const TestPhase& phase : phases) sum += phase.took;
    return sum;
}

Verdict judge(const RestoreTestResult& result) {
    if (first_of(result, TestOutcome::kFailed, std::nullopt) != nullptr) return Verdict::kFail;
    if (result.error) return tells_against_backup(*result.error) ? Verdict::kFail : Verdict::kUnknown;
    if (!result.recovery()) return Verdict::kUnknown;
    if (first_of(result, TestOutcome::kNotChecked, CheckKind::kEssential) != nullptr) return Verdict::kUnknown;
    const bool was_read = first_of(result, TestOutcome::kPassed, CheckKind::kContent) != nullptr;
    return was_read ? Verdict::kPass : Verdict::kUnknown;
}

std::string reason_of(const RestoreTestResult& result) {
    if (const TestCheck* failed = first_of(result, TestOutcome::kFailed, std::nullopt)) {
        return fmt::format("{}: {}", failed->name, failed->detail);
    }
    if (result.error) return result.error->to_string();
    if (judge(result) == Verdict::kPass) return "";
    if (const TestCheck* open = first_of(result, TestOutcome::kNotChecked, CheckKind::kEssential)) {
        return fmt::format("{} was not checked: {}", open->name, open->detail);
    }
    return "nothing could read the data itself";
}

}  // namespace aeterna::engine
