// Collects from the journal what one post-mortem is written from.
#include <fmt/format.h>

#include "report/post_mortem.h"

namespace aeterna::report {
namespace {

struct Window {
    WallTime from;
    WallTime to;
};

Status add_window(Material& material, const Window& window, engine::Journal& journal) {
    AETERNA_ASSIGN(material.events, journal.events(window.from, window.to));
    AETERNA_ASSIGN(const auto incidents, journal.incidents(window.from, 1000));
    for (const engine::IncidentSummary& incident : incidents) {
        if (incident.opened_at >= window.from && incident.opened_at <= window.to) {
            material.incidents.push_back(incident);
        }
    }
    AETERNA_ASSIGN(const auto executions, journal.executions(1000));
    for (const engine::ExecutionRecord& execution : executions) {
        if (execution.started_at < window.from || execution.started_at > window.to) continue;
        AETERNA_ASSIGN(auto steps, journal.steps(execution.id));
        material.executions.emplace_back(execution, std::move(steps));
    }
    return {};
}

}  // namespace

Result<Material> collect_material(const std::string& id, const std::string& stack,
                                  const std::string& state_directory, engine::Journal& journal) {
    Material material;
    material.stack = stack;
    material.journal_file = engine::journal_file(state_directory);
    AETERNA_ASSIGN(material.drill, journal.drill(id));
    if (material.drill) {
        material.ledger_directory = fmt::format("{}/drills/{}", state_directory, id);
        const WallTime end = material.drill->ended_at.value_or(material.drill->started_at + 1h);
        AETERNA_TRY(add_window(material, {material.drill->started_at, end}, journal));
        return material;
    }
    AETERNA_ASSIGN(material.subject, journal.incident(id));
    if (material.subject) {
        const WallTime opened = material.subject->opened_at;
        const WallTime end = material.subject->closed_at.value_or(opened + 1h) + 1min;
        AETERNA_TRY(add_window(material, {opened - 1min, end}, journal));
        return material;
    }
    return make_error(ErrorCode::kNotFound, fmt::format("no drill or incident '{}' in the journal", id),
                      "List them with `aeterna-dr drill list` and `aeterna-dr incident list`.");
}

}  // namespace aeterna::report
