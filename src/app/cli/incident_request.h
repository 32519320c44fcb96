// incident ack|close: asks the serve that watches the stack, through the journal; where none does,
// the change is made here, under serve's own lock, so that none starts meanwhile.
#pragma once

#include <string>
#include <string_view>

#include "app/cli/session.h"

namespace aeterna::app {

// `kind` is engine::kAckIncident or engine::kCloseIncident. kNotFound, kUsage when it is closed already,
// kGuardRefused while it still fires, kUnknownOutcome when serve did not answer.
[[nodiscard]] Result<int> request_on_incident(Session& session, std::string_view kind,
                                              const std::string& id);

}  // namespace aeterna::app
