#include "app/daemon/assist.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::app {
namespace {

int rank(const std::string& severity) {
    if (severity == "critical") return 2;
    return severity == "degraded" ? 1 : 0;
}

bool holds_back(const AssistedFailure& past, const AssistQuestion& question) {
    const bool is_same_node = !question.node.empty() && past.node == question.node;
    const bool is_same = past.store == question.store && past.detector == question.detector && is_same_node;
    if (!is_same || rank(question.severity) > rank(past.severity)) return false;
    // A clock that was set back must not stretch the cooldown.
    return question.now >= past.ended_at && question.now - past.ended_at < question.cooldown;
}

bool ran_at(const engine::DrillRecord& drill, WallTime at) {
    if (at < drill.started_at) return false;
    // Without an end it runs still, or was killed and broke something all the same.
    return drill.ended_at ? at <= *drill.ended_at : at <= drill.started_at + std::chrono::hours(1);
}

}  // namespace

AssistAnswer decide_assist(const AssistQuestion& question, const std::vector<AssistedFailure>& past) {
    if (question.by_drill) {
        if (*question.by_drill == question.by_file) return {question.by_file, ""};
        return {*question.by_drill,
                fmt::format("assist {} by {}", config::assist_name(*question.by_drill), question.drill)};
    }
    if (question.by_file != config::Assist::kAct || !question.drill.empty()) return {question.by_file, ""};
    const auto same = std::find_if(past.begin(), past.end(),
                                   [&](const AssistedFailure& one) { return holds_back(one, question); });
    if (same == past.end()) return {config::Assist::kAct, ""};
    const WallTime until = same->ended_at + std::chrono::duration_cast<WallTime::duration>(question.cooldown);
    return {config::Assist::kPropose,
            fmt::format("assist only proposes until {}: {} cured the same failure of {} at {}", format_time(until),
                        same->execution, same->node, format_time(same->ended_at))};
}

std::optional<AssistedFailure> assisted_failure(const engine::ExecutionRecord& execution,
                                                const std::vector<engine::IncidentSummary>& incidents,
                                                const std::vector<engine::DrillRecord>& drills) {
    if (execution.trigger.rfind(kIncidentTrigger, 0) != 0 || !execution.ended_at) return std::nullopt;
    if (find_string(execution.facts, "assist") != "acted") return std::nullopt;
    const bool is_drill = std::any_of(drills.begin(), drills.end(),
                                      [&](const auto& drill) { return ran_at(drill, execution.started_at); });
    if (is_drill) return std::nullopt;
    const std::string id = execution.trigger.substr(kIncidentTrigger.size());
    const auto incident = std::find_if(incidents.begin(), incidents.end(), [&](const auto& one) { return one.id == id; });
    if (incident == incidents.end()) return std::nullopt;
    const auto by_parameter = find_string(execution.parameters, "old_primary");
    return AssistedFailure{execution.id,
                           execution.store,
                           incident->detector,
                           incident->severity,
                           by_parameter.value_or(find_string(execution.facts, "old_primary").value_or("")),
                           *execution.ended_at};
}

}  // namespace aeterna::app
