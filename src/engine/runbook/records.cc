#include "engine/runbook/records.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "engine/runbook/runner.h"
#include "engine/runbook/step.h"

namespace aeterna::engine {
namespace {

constexpr std::array<std::pair<ExecutionState, std::string_view>, 7> kStates = {{
    {ExecutionState::kRunning, "running"},
    {ExecutionState::kAwaitingApproval, "awaiting_approval"},
    {ExecutionState::kSucceeded, "succeeded"},
    {ExecutionState::kFailed, "failed"},
    {ExecutionState::kRefused, "refused"},
    {ExecutionState::kUnknown, "unknown"},
    {ExecutionState::kAborted, "aborted"},
}};

}  // namespace

std::string_view execution_state_name(ExecutionState state) {
    for (const auto& [candidate, name] : kStates) {
        if (candidate == state) return name;
    }
    return "unknown";
}

Result<ExecutionState> execution_state_from_name(std::string_view name) {
    for (const auto& [state, candidate] : kStates) {
        if (candidate == name) return state;
    }
    return make_error(ErrorCode::kProtocol, fmt::format("'{}' is no state of an execution", name));
}

std::string_view risk_name(Risk risk) {
    switch (risk) {
        case Risk::kReadOnly: return "read-only";
        case Risk::kReversible: return "reversible";
        case Risk::kDisruptive: return "disruptive";
    }
    return "disruptive";
}

std::string make_record_id(std::string_view prefix, WallTime now, std::uint64_t random) {
    // 2026-11-23T10:15:00.123Z → 20261123T101500Z
    std::string stamp;
    for (const char c : format_time(now)) {
        if (c == '.') break;
        if (c != '-' && c != ':') stamp += c;
    }
    return fmt::format("{}-{}Z-{:04x}", prefix, stamp, random & 0xffff);
}

int exit_code_of(const ExecutionRecord& execution) {
    const int by_error = execution.error ? exit_code(execution.error->code) : 1;
    switch (execution.state) {
        case ExecutionState::kSucceeded: return 0;
        case ExecutionState::kAwaitingApproval: return exit_code(ErrorCode::kAwaitingApproval);
        case ExecutionState::kRefused: return exit_code(ErrorCode::kGuardRefused);
        case ExecutionState::kUnknown:
        case ExecutionState::kRunning: return exit_code(ErrorCode::kUnknownOutcome);
        case ExecutionState::kFailed:
        case ExecutionState::kAborted: return by_error;
    }
    return 1;
}

Json error_to_json(const Error& error) {
    Json document{{"code", std::string(code_name(error.code))},
                  {"effect", std::string(effect_name(error.effect))},
                  {"message", error.message},
                  {"hint", error.hint}};
    if (error.cause) document["cause"] = error_to_json(*error.cause);
    return document;
}

std::optional<Error> error_from_json(const Json& document) {
    const std::optional<std::string> code = find_string(document, "code");
    if (!code) return std::nullopt;
    Error error = make_error(code_from_name(*code), find_string(document, "message").value_or(""),
                             find_string(document, "hint").value_or(""),
                             effect_from_name(find_string(document, "effect").value_or("")));
    if (const Json* cause = find_member(document, "cause")) {
        if (std::optional<Error> inner = error_from_json(*cause)) {
            error.cause = std::make_shared<const Error>(std::move(*inner));
        }
    }
    return error;
}

Json process_to_json(const env::ProcessId& process) {
    return Json{{"pid", process.pid}, {"start", process.start_ticks}};
}

std::optional<env::ProcessId> process_from_json(const Json& document) {
    const auto pid = find_integer(document, "pid"), start = find_integer(document, "start");
    if (!pid || !start) return std::nullopt;
    return env::ProcessId{static_cast<int>(*pid), static_cast<std::uint64_t>(*start)};
}

Json own_process_to_json(env::Processes& processes) {
    const auto own = processes.inspect(processes.own_pid());
    return own ? process_to_json(own->id) : Json(nullptr);
}

bool is_process_alive(const Json* process, env::Processes& processes) {
    const auto id = process ? process_from_json(*process) : std::nullopt;
    return id && processes.is_alive(*id);
}

}  // namespace aeterna::engine
