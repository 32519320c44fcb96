// --timeline.
#pragma once

#include <string>

#include "postgres/capture/timeline_history.h"

namespace aeterna::postgres {

// A number above 0. kUsage.
[[nodiscard]] Result<Timeline> parse_timeline(const std::string& word);

}  // namespace aeterna::postgres
