#include "app/cli/restore_test_report.h"

#include <fmt/format.h>

#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "base/strings.h"
#include "engine/restore_test/history.h"

namespace aeterna::app {
namespace {

std::string outcome_text(engine::TestOutcome outcome) {
    return outcome == engine::TestOutcome::kNotChecked ? "not checked" : std::string(test_outcome_name(outcome));
}

std::string last_line(const TestReport& report) {
    const engine::Verdict verdict = judge(report.result);
    const auto recovery = report.result.recovery();
    if (verdict != engine::Verdict::kPass) {
        return fmt::format("{}: {}", verdict == engine::Verdict::kFail ? "FAIL" : "UNKNOWN", reason_of(report.result));
    }
    std::string text = fmt::format("PASS: takes writes after {}", format_duration(*recovery));
    if (report.objective) {
        text += fmt::format(", {} the objective of {}", *report.met() ? "within" : "MISSES",
                            human_objective(*report.objective));
    }
    return text;
}

}  // namespace

std::optional<bool> TestReport::met() const {
    const auto recovery = result.recovery();
    if (!objective || !recovery) return std::nullopt;
    return *recovery <= *objective;
}

Json to_json(const TestReport& report) {
    const engine::RestoreTestResult& result = report.result;
    const auto recovery = result.recovery();
    Json phases = Json::array(), checks = Json::array();
    for (const auto& phase : result.phases) {
        phases.push_back({{"name", phase.name}, {"seconds", to_seconds(phase.took)}});
    }
    for (const auto& check : result.checks) {
        checks.push_back({{"name", check.name},
                          {"outcome", test_outcome_name(check.outcome)},
                          {"detail", check.detail},
                          {"seconds", to_seconds(check.took)}});
    }
    const repository::Backup& backup = result.plan.backup;
    const Json* replay = find_member(result.plan.document, "replay");
    return Json{{"id", report.id},
                {"store", report.store},
                {"at", format_time(report.at)},
                {"to", report.to},
                {"seed", report.seed ? Json(*report.seed) : Json(nullptr)},
                {"backup", backup.id},
                {"name", backup.name},
                {"server_version", backup.server_version},
                {"recovery_point", json_or_null(find_string(result.plan.document, "recovery_point"))},
                {"replay", replay != nullptr ? *replay : Json(nullptr)},
                {"verdict", verdict_name(judge(result))},
                {"reason", reason_of(result)},
                {"error", result.error ? error_document(*result.error)["error"] : Json(nullptr)},
                {"recovery_seconds", recovery ? Json(to_seconds(*recovery)) : Json(nullptr)},
                {"total_seconds", to_seconds(result.total())},
                {"objective_rto_seconds", report.objective ? Json(to_seconds(*report.objective)) : Json(nullptr)},
                {"met", json_or_null(report.met())},
                {"bytes", result.bytes},
                {"replay_seconds", result.replay ? Json(to_seconds(*result.replay)) : Json(nullptr)},
                {"phases", std::move(phases)},
                {"checks", std::move(checks)}};
}

std::vector<std::string> report_lines(const TestReport& report) {
    const engine::RestoreTestResult& result = report.result;
    const repository::Backup& backup = result.plan.backup;
    std::vector<std::string> lines;
    if (!backup.id.empty()) {
        lines.push_back(fmt::format("backup {} of '{}', {} {}, {}", backup.id, backup.name, report.store,
                                    one_line(backup.server_version), human_bytes(backup.bytes)));
    }
    if (const Json* replay = find_member(result.plan.document, "replay")) {
        lines.push_back(fmt::format("  replays to {} on timeline {}, last commit {}",
                                    find_string(*replay, "to").value_or("?"),
                                    find_integer(*replay, "timeline").value_or(0),
                                    find_string(*replay, "last_commit").value_or("not known")));
    }
    for (const auto& phase : result.phases) {
        lines.push_back(fmt::format("  {:<11}  {}", phase.name, format_duration(phase.took)));
    }
    for (const auto& check : result.checks) {
        lines.push_back(fmt::format("  {:<11}  {}: {}", outcome_text(check.outcome), check.name, check.detail));
    }
    lines.push_back(last_line(report));
    return lines;
}

int exit_code_of(const TestReport& report) {
    switch (judge(report.result)) {
        case engine::Verdict::kPass: return report.met() == false ? exit_code(ErrorCode::kObjectiveMissed) : 0;
        case engine::Verdict::kFail: return 1;
        case engine::Verdict::kUnknown: break;
    }
    const auto& error = report.result.error;
    if (error && error->code == ErrorCode::kCancelled) return exit_code(ErrorCode::kCancelled);
    if (error && (error->code == ErrorCode::kDeadline || error->code == ErrorCode::kTimeout)) {
        return exit_code(ErrorCode::kDeadline);
    }
    return exit_code(ErrorCode::kUnknownOutcome);
}

Result<std::vector<Json>> known_tests(const Session& session) {
    AETERNA_ASSIGN(const std::string directory, state_directory_of(session));
    return engine::recorded_tests(directory, session.env());
}

Json last_test_json(const std::vector<Json>& tests, const std::string& backup) {
    const Json* test = engine::last_test_of(tests, backup);
    if (test == nullptr) return nullptr;
    return Json{{"at", json_or_null(find_string(*test, "at"))},
                {"verdict", json_or_null(find_string(*test, "verdict"))},
                {"recovery_seconds", json_or_null(find_number(*test, "recovery_seconds"))}};
}

std::string last_test_text(const std::vector<Json>& tests, const std::string& backup) {
    const Json* test = engine::last_test_of(tests, backup);
    if (test == nullptr) return "never tested";
    return fmt::format("tested {}: {}", find_string(*test, "at").value_or("?"),
                       find_string(*test, "verdict").value_or("?"));
}

}  // namespace aeterna::app
