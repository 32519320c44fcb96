// What an assist did, as sentences: for the scorecard and the post-mortem. Pure. From engine::to_json(AssistScore).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace aeterna::report {

// One sentence each, lower case, without a full stop. `since`: what acted_at_seconds counts from, "the fault". Empty for
// null and for an assist that was off.
[[nodiscard]] std::vector<std::string> assist_lines(const Json& assist, const std::string& since);

}  // namespace aeterna::report
