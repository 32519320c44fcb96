// serve: the one process per stack that probes, detects, handles incidents by policy and answers HTTP.
#pragma once

#include "app/daemon/capture_worker.h"
#include "app/registry.h"
#include "engine/runbook/journal.h"

namespace aeterna::app {

// Held by the serve that watches this stack, for as long as it lives. kLocked when another one does.
[[nodiscard]] Result<std::unique_ptr<env::FileLock>> take_instance_lock(const config::Stack& stack, const env::Env& env);

// Runs until `context.stop` (its deadline is not used). kLocked when another serve watches this stack;
// kAlreadyExists when the listening address is taken. With `opener`, stores that want it are captured.
Status serve(const OpenStack& open, engine::Journal& journal, const env::Env& env, const RepositoryOpener& opener,
             const env::Context& context);

}  // namespace aeterna::app
