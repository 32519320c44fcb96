// The WAL receiver: streams from the primary into the repository's logs, and holds WAL by a slot on every node until it is
// durable there (engine/capture/capture.h). Counts as a synchronous standby only under the name that the stack file gives it for that.
#pragma once

#include <memory>

#include "engine/capture/capture.h"
#include "env/env.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// All references must outlive it.
[[nodiscard]] std::unique_ptr<engine::Capture> make_receiver(const Settings& settings, const env::Env& env,
                                                             const engine::CaptureResources& resources);

}  // namespace aeterna::postgres
