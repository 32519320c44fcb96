// Post-mortem: the seed's five sections, written from the journal and the scorecard. Facts are computed and link to
// their evidence; interpretation that no machine can know is left to people and says so. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/runbook/journal.h"

namespace aeterna::report {

// Everything that the journal holds about one drill or one incident.
struct Material {
    std::string stack;
    std::optional<engine::DrillRecord> drill;        // a drill's post-mortem …
    std::optional<engine::IncidentSummary> subject;  // … or an incident's
    std::vector<engine::StoreEvent> events;
    std::vector<engine::IncidentSummary> incidents;
    std::vector<std::pair<engine::ExecutionRecord, std::vector<engine::StepRecord>>> executions;
    std::map<std::string, std::string> human;  // section → what people have written (human_text.h)
    std::string ledger_directory;  // empty without a drill
    std::string journal_file;
};

// Reads the material of a drill ("q1-…") or an incident ("inc-…"). kNotFound for an unknown id.
[[nodiscard]] Result<Material> collect_material(const std::string& id, const std::string& stack,
                                                const std::string& state_directory, engine::Journal& journal);

// GitHub-flavoured Markdown.
[[nodiscard]] std::string post_mortem_markdown(const Material& material);

// Which phase cost how much, and what to change: one sentence each. From one store's scorecard and its phases.
struct Lesson {
    std::string text;
    std::string action;  // empty when there is nothing to do
};
[[nodiscard]] std::vector<Lesson> lessons_of(const Json& scorecard);

}  // namespace aeterna::report
