#include "engine/drill/assist_score.h"

#include <algorithm>

#include "engine/runbook/assist.h"

namespace aeterna::engine {

std::optional<AssistScore> assist_score(const Json& facts, WallTime from) {
    const auto outcome = find_string(facts, "assist");
    if (!outcome) return std::nullopt;
    AssistScore score;
    score.outcome = *outcome;
    score.reasons = find_strings(facts, "assist_reasons");
    score.approved_by = find_string(facts, kApprovedByFact);
    score.fenced = find_strings(facts, "fenced");
    const auto acted_at = parse_time(find_string(facts, "assist_acted_at").value_or(""));
    if (acted_at) score.acted_at_seconds = to_seconds(*acted_at - from);
    const bool has_acted = *outcome == "acted";
    if (const auto lease = find_number(facts, "lease_remaining_seconds"); lease && has_acted) {
        score.saved_seconds = std::max(0.0, *lease);
        score.saved_of = "lease";
    } else if (const auto wait = find_number(facts, "down_after_remaining_seconds"); wait && has_acted) {
        score.saved_seconds = std::max(0.0, *wait);
        score.saved_of = "down_after";
    }
    const Json* salvaged = find_member(facts, "salvaged");
    if (salvaged != nullptr && salvaged->is_object()) score.salvaged = *salvaged;
    return score;
}

Json to_json(const AssistScore& score) {
    return Json{{"outcome", score.outcome},
                {"reasons", score.reasons},
                {"approved_by", json_or_null(score.approved_by)},
                {"acted_at_seconds", json_or_null(score.acted_at_seconds)},
                {"saved_seconds", json_or_null(score.saved_seconds)},
                {"saved_of", score.saved_of},
                {"fenced", score.fenced},
                {"salvaged", score.salvaged}};
}

}  // namespace aeterna::engine
