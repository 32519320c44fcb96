// PostgreSQL's steps and runbooks. One step, one file, one spec; the table below is what documents
// and plans list.
//
// failover:   restart_agent → prove_loss → fence → release_lease → order_failover → await_promotion →
//             confirm_one_writer → end_orphans → salvage → unfence → await_rejoin; the assisted steps do nothing where
//             assist is "off", or "propose" and nobody says yes, where they are refused or where Patroni was faster
// restore:    check_restore → fetch_restore → replay_restore → stop_cluster → swap_data → clear_keys → hand_over →
//             confirm_one_writer → rejoin_members → back_up; docs/decisions/014 says why in this order
// switchover: check_switchover → switchover → confirm_one_writer → await_rejoin
//
// Facts that the steps share: "old_primary" (node name), "new_primary" (node name), "candidate"
// (node name); "assist" (off, refused, not_needed, proposed, proven, acted), "assist_reasons" (lines),
// "assist_approved_by" (who said yes to a proposal),
// "assist_acted_at" (time of the release), "lease_remaining_seconds" (what the release saved), "fenced" (nodes that
// this execution holds down now), "salvaged" (what only the old primary had).
// Of a restore: "restore.data", "restore.sandbox", "restore.kept" (in_place.h), "restore.had_primary" (whether a member
// took writes when it was checked), "restore.fetched" (bytes), "restore.replayed" (timeline of the restored directory),
// "restore.stopped" (all members were held down), "restore.emptied" (members whose data is gone), "restore.new_backup"
// (its id).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/runbook/step.h"
#include "engine/store.h"
#include "postgres/detect/board.h"
#include "postgres/settings.h"

namespace aeterna::postgres {

// To which point a restore in place goes: a plan of `restore postgres`, as an execution remembers it.
struct RestoreWish {
    std::string backup;
    engine::RestorePlan::Replay replay;
    std::string superuser;  // of the cluster, whom we log in as by a socket of our own
};

// What a step is built from: the stack's settings and the runbook's parameters, no memory.
struct StepParts {
    const Settings& settings;
    const env::Env& env;
    std::string candidate;                      // node name; empty: choose, or leave it to Patroni
    std::string old_primary;                    // node name; empty: ask the cluster
    config::Assist assist = config::Assist::kOff;
    std::shared_ptr<const Board> watched = {};  // what serve has been seeing; nothing on the command line
    std::optional<RestoreWish> restore = {};    // of the runbook restore, which brings `candidate` back
    std::shared_ptr<const engine::LentRepository> lent = {};
};

[[nodiscard]] std::unique_ptr<engine::Step> make_await_promotion(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_await_rejoin(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_back_up(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_check_restore(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_check_switchover(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_clear_keys(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_confirm_one_writer(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_end_orphans(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_fence(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_fetch_restore(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_hand_over(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_order_failover(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_prove_loss(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_rejoin_members(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_release_lease(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_replay_restore(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_restart_agent(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_salvage(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_stop_cluster(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_swap_data(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_switchover(StepParts parts);
[[nodiscard]] std::unique_ptr<engine::Step> make_unfence(StepParts parts);

// Sorted by name.
[[nodiscard]] std::span<const engine::StepSpec* const> step_specs();

[[nodiscard]] std::vector<engine::RunbookInfo> runbook_infos();
// kNotFound: no such runbook. kUsage: unknown or wrong parameters, an unknown node.
[[nodiscard]] Result<engine::Runbook> make_runbook(const std::string& name, const Json& parameters,
                                                   const Settings& settings, const env::Env& env,
                                                   std::shared_ptr<const Board> watched = {},
                                                   std::shared_ptr<const engine::LentRepository> lent = {});

// The specs, each defined in its step's file.
extern const engine::StepSpec kAwaitPromotionSpec;
extern const engine::StepSpec kAwaitRejoinSpec;
extern const engine::StepSpec kBackUpSpec;
extern const engine::StepSpec kCheckRestoreSpec;
extern const engine::StepSpec kCheckSwitchoverSpec;
extern const engine::StepSpec kClearKeysSpec;
extern const engine::StepSpec kConfirmOneWriterSpec;
extern const engine::StepSpec kEndOrphansSpec;
extern const engine::StepSpec kFenceSpec;
extern const engine::StepSpec kFetchRestoreSpec;
extern const engine::StepSpec kHandOverSpec;
extern const engine::StepSpec kOrderFailoverSpec;
extern const engine::StepSpec kProveLossSpec;
extern const engine::StepSpec kRejoinMembersSpec;
extern const engine::StepSpec kReleaseLeaseSpec;
extern const engine::StepSpec kReplayRestoreSpec;
extern const engine::StepSpec kRestartAgentSpec;
extern const engine::StepSpec kSalvageSpec;
extern const engine::StepSpec kStopClusterSpec;
extern const engine::StepSpec kSwapDataSpec;
extern const engine::StepSpec kSwitchoverSpec;
extern const engine::StepSpec kUnfenceSpec;

}  // namespace aeterna::postgres
