// Text forms of what the journal keeps: errors with their causes, and whose work a record is, as JSON.
#pragma once

#include <optional>

#include "base/json.h"
#include "engine/runbook/journal.h"
#include "env/processes.h"

namespace aeterna::engine {

[[nodiscard]] Json error_to_json(const Error& error);
// Nothing when `document` is no such object; unknown words become kInternal and kUnknown.
[[nodiscard]] std::optional<Error> error_from_json(const Json& document);

// {"pid", "start"}; nothing where `document` is no such object.
[[nodiscard]] Json process_to_json(const env::ProcessId& process);
[[nodiscard]] std::optional<env::ProcessId> process_from_json(const Json& document);
// Tells this process from a later one with its number. Null where it cannot be told.
[[nodiscard]] Json own_process_to_json(env::Processes& processes);
// False also for nullptr, and for what is no such object.
[[nodiscard]] bool is_process_alive(const Json* process, env::Processes& processes);

}  // namespace aeterna::engine
