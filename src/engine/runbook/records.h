// Text forms of what the journal keeps: errors with their causes as JSON.
#pragma once

#include <optional>

#include "base/json.h"
#include "engine/runbook/journal.h"

namespace aeterna::engine {

[[nodiscard]] Json error_to_json(const Error& error);
// Nothing when `document` is no such object; unknown words become kInternal and kUnknown.
[[nodiscard]] std::optional<Error> error_from_json(const Json& document);

}  // namespace aeterna::engine
