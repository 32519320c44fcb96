// The scorecard for people: at most 80 columns, one figure per place, nothing hidden. Only a path or a name that is
// longer than a line by itself makes a longer line: it has to stay in one piece to be copied.
#pragma once

#include <string>

#include "base/json.h"

namespace aeterna::report {

// From the JSON of engine::to_json(Scorecard) or of several repeats. `colour` adds ANSI colours to the verdict and to
// the stores' results.
[[nodiscard]] std::string scorecard_text(const Json& scorecard, const std::string& stack_name, bool colour);

}  // namespace aeterna::report
