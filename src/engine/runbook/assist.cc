#include "engine/runbook/assist.h"

#include "base/strings.h"

namespace aeterna::engine {

using config::Assist;

Result<Assist> assist_parameter(const Json& parameters) {
    const Json* value = find_member(parameters, "assist");
    if (!value) return Assist::kOff;
    const std::string word = value->is_string() ? value->get<std::string>() : value->dump();
    if (const auto assist = config::assist_from_name(word)) return *assist;
    return make_error(ErrorCode::kUsage, "'" + one_line(word, 40) + "' is no word for assist", "Say off, propose or act.");
}

bool take_approval(StepContext& step) {
    const auto who = step.proposal ? step.proposal->approved_by() : std::nullopt;
    if (who) step.facts[kApprovedByFact] = *who;
    return who.has_value();
}

bool may_act(Assist assist, const Json& facts) { return assist == Assist::kAct || facts.contains(kApprovedByFact); }

std::string assist_condition(Assist assist, const std::string& own) {
    switch (assist) {
        case Assist::kAct: return "only if " + own;
        case Assist::kPropose: return "only if somebody says yes to the proposal, and " + own;
        case Assist::kOff: break;
    }
    return "only with assist 'propose' or 'act'";
}

}  // namespace aeterna::engine
