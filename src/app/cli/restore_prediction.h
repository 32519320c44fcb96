// How long a restore will take until its server takes writes, said in its plan.
#pragma once

#include <string>

#include "app/cli/session.h"
#include "engine/capture/backup.h"

namespace aeterna::app {

// By the last restore test of the store that passed; that nobody knows it where none has. Field "predicted_seconds" (seconds or
// null) and a line.
void add_prediction(const Session& session, const std::string& store, engine::RestorePlan& plan);

}  // namespace aeterna::app
