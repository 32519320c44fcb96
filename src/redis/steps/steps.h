// The steps of the Redis runbooks; each lives in the .cc of its name. They share one Cluster (kept connections) and
// the facts of the execution, so that a resumed run knows who was master.
#pragma once

#include <memory>
#include <string>

#include "engine/runbook/step.h"
#include "redis/client/cluster.h"

namespace aeterna::redis {

using ClusterPointer = std::shared_ptr<Cluster>;
using StepPointer = std::unique_ptr<engine::Step>;

// Facts: names of nodes.
inline constexpr const char* kOldMaster = "redis.old_master";
inline constexpr const char* kNewMaster = "redis.new_master";
// What redis.check_switchover saw, as the proof of a later promotion: the names of the connected replicas, the old
// master's master_replid, and the highest config-epoch of the Sentinels.
inline constexpr const char* kReplicas = "redis.replicas";
inline constexpr const char* kOldReplid = "redis.old_replid";
inline constexpr const char* kOldEpoch = "redis.old_epoch";
// The Sentinel that redis.choose_moment picked to act, later the one that was told to; may be missing.
inline constexpr const char* kActingSentinel = "choose_moment.sentinel";

struct Acting;

// Failover. `old_primary` may be empty: then it is who the Sentinels name.
[[nodiscard]] StepPointer make_await_failover(ClusterPointer cluster, std::string old_primary);
// Both runbooks.
[[nodiscard]] StepPointer make_confirm_one_writer(ClusterPointer cluster, std::shared_ptr<Acting> acting = nullptr);
// The guard that meets the old master, as far as the runbook has one: what it kept is written into the facts.
[[nodiscard]] StepPointer make_await_rejoin(ClusterPointer cluster, std::shared_ptr<Acting> acting = nullptr);
// Switchover. `candidate` may be empty: Sentinel chooses.
[[nodiscard]] StepPointer make_check_switchover(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_prefer_candidate(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_choose_moment(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_pause_writes(ClusterPointer cluster);
[[nodiscard]] StepPointer make_await_catch_up(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_promote(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_demote_old(ClusterPointer cluster);
[[nodiscard]] StepPointer make_await_agreement(ClusterPointer cluster, std::string candidate);
[[nodiscard]] StepPointer make_restore_priorities(ClusterPointer cluster);

// Reconcile: who should be master where the servers do not agree, and making them.
inline constexpr const char* kDivision = "redis.division";  // fact: the lines of detect/division.h, as they were found
[[nodiscard]] StepPointer make_choose_master(ClusterPointer cluster);
[[nodiscard]] StepPointer make_unite(std::shared_ptr<Acting> acting);

}  // namespace aeterna::redis
