// The scorecard for people: at most 80 columns, one figure per place, nothing hidden.
#pragma once

#include <string>

#include "base/json.h"

namespace aeterna::report {

// From the JSON of engine::to_json(Scorecard) or of several repeats. `colour` adds ANSI colours to the verdict.
[[nodiscard]] std::string scorecard_text(const Json& scorecard, const std::string& stack_name, bool colour);

}  // namespace aeterna::report
