// The guard of our slots: one that holds more WAL than the stack file allows is dropped, before it fills the disk of its
// server. Runs whether WAL is captured or not: a repository that is away for days is just when it is needed.
#pragma once

#include <memory>

#include "engine/capture/capture.h"
#include "env/env.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// All references must outlive it.
[[nodiscard]] std::unique_ptr<engine::CaptureGuard> make_slot_guard(const Settings& settings, const env::Env& env,
                                                                    const engine::CaptureVoice& voice);

}  // namespace aeterna::postgres
