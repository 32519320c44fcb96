// The end of a command that had measured something before it failed.
#pragma once

#include "app/cli/session.h"

namespace aeterna::app {

// With --json `document` and the error are one document on stdout; without, nothing is printed here. The error is for
// the command to return: its text and its exit code are the session's.
[[nodiscard]] Error fail_with(Session& session, Json document, Error error);

}  // namespace aeterna::app
