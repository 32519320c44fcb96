// restore STORE --in-place: the store of a stack put back to an earlier point where it lives, as a journaled runbook.
#pragma once

#include <string>

#include "app/cli/session.h"
#include "engine/capture/backup.h"

namespace aeterna::app {

struct InPlaceOptions {
    bool wanted = false;  // --in-place
    std::string node, superuser;  // empty: the primary, the store's usual one
    bool during_maintenance = false;
};

// Finds the point that `order` means, then plan, approval and run.
[[nodiscard]] Result<int> restore_in_place(Session& session, const engine::StoreModule& module,
                                           const engine::RestoreOrder& order, const InPlaceOptions& options,
                                           bool dry_run, bool yes);

}  // namespace aeterna::app
