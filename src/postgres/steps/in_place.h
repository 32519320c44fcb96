// What the steps of a restore in place share: the order, the places, and what holds the cluster down.
//
// The restored data directory is made and proven beside the old one while the cluster runs: SANDBOX =
// PARENT/EXECUTION-ID, data in SANDBOX/data. Then all members are fenced, the old one is renamed to
// DATA.before-EXECUTION-ID and the new one takes its place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/runbook/step.h"
#include "postgres/capture/base_backup.h"
#include "postgres/capture/timeline_history.h"
#include "postgres/client/wal.h"
#include "postgres/detect/world.h"
#include "postgres/restore_test/scratch_server.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {

// Of an execution that has come past check_restore.
struct InPlace {
    std::string data;  // the member's data directory
    std::string sandbox;
    std::string kept;  // where the old one lies after the swap
    [[nodiscard]] ScratchPlace scratch() const { return {sandbox}; }
};
void put_in_place(Json& facts, const InPlace& place);
// kInternal before check_restore.
[[nodiscard]] Result<InPlace> in_place(const Json& facts);

// The parameters "node", "backup", "replay" and "superuser".
[[nodiscard]] Result<RestoreWish> read_restore_wish(const Json& parameters);

// What the runbook was lent. kConfiguration where that is nothing.
[[nodiscard]] Result<const engine::LentRepository*> lent_to(const StepParts& parts);

// The plan that the wish was made of. The repository stays open until the next call.
struct RestoreSource {
    repository::Repository* repository = nullptr;
    engine::RestorePlan plan;
    BaseBackupDetails details;
};
[[nodiscard]] Result<RestoreSource> open_source(const StepParts& parts, const env::Context& context);

// Whom a server on `directory` runs as; nothing: ourselves. kGuardRefused where we can be neither.
[[nodiscard]] Result<std::optional<env::User>> owner_of(const std::string& directory, const env::Env& env);

// Everybody but the node that is restored, then that one: while it lives, nobody is promoted instead.
[[nodiscard]] std::vector<const NodeSettings*> fence_order(const StepParts& parts);
// Whether this execution holds the node down: all markers are there and nothing of it lives.
[[nodiscard]] Result<bool> is_held_down(const StepParts& parts, const NodeSettings& node, const env::Context& context);
// Whether the node that is restored takes writes and holds the leader key.
[[nodiscard]] bool leads(const World& world, const StepParts& parts);
// kGuardRefused while any member is not.
Status require_all_held_down(const StepParts& parts, const env::Context& context);
// Lifts this execution's fence of the node and starts its agent. Idempotent.
Status let_start(const StepParts& parts, const NodeSettings& node, const env::Context& context);

}  // namespace aeterna::postgres
