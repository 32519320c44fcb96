// What the steps have in common: facts, polling, finding the promoted node, catching up, pausing and priorities.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "redis/steps/steps.h"

namespace aeterna::redis {

// Longer than Sentinel needs to turn a leftover old master into a replica (about 10 s): if we die in between, writes
// stay paused until the old master refuses them, so none is acknowledged and lost.
inline constexpr Duration kPause = std::chrono::seconds(15);

// A step with its spec and the cluster.
class RedisStep : public engine::Step {
  public:
    RedisStep(ClusterPointer cluster, const engine::StepSpec& step_spec)
        : cluster_(std::move(cluster)), spec_(step_spec) {}
    [[nodiscard]] const engine::StepSpec& spec() const override { return spec_; }

  protected:
    // The node that the fact names; nullptr when it is not known yet (a plan, or an earlier step has not run).
    [[nodiscard]] const RedisNode* node_of(const Json& facts, const char* key) const;
    [[nodiscard]] const env::Clock& clock() const { return cluster_->env().clock; }
    [[nodiscard]] const RedisSettings& settings() const { return cluster_->settings(); }

    ClusterPointer cluster_;

  private:
    const engine::StepSpec& spec_;
};

// Calls `done` every `interval` until it gives true, an error, or the context ends (false). kCancelled on stop.
[[nodiscard]] Result<bool> poll(const env::Env& env, const env::Context& context, Duration interval,
                                const std::function<Result<bool>()>& done);

// What is left of down-after in the slowest Sentinel's eyes.
[[nodiscard]] Duration down_after_left(const std::vector<SentinelAnswer>& answers);
// The node of that name, else the one that the Sentinels (a majority, or any) still name.
[[nodiscard]] Result<const RedisNode*> supposed_old_master(Cluster& cluster, const std::string& named,
                                                           const env::Context& context);

// That `master` comes from the old master's history: a replica that is promoted keeps its former master_replid as
// master_replid2 (redis 7.0 src/replication.c, shiftReplicationId); a restart or a strange master breaks that. Pure.
[[nodiscard]] bool is_heir(const NodeInfo& master, const Json& facts);
// True when `node` followed the old master before the switch, says now that it is master, and is its heir or, where
// that cannot be seen, is named by the acting Sentinel or a majority. A stale former master that came back is neither.
[[nodiscard]] bool is_promoted(Cluster& cluster, const RedisNode& node, const Json& facts, const env::Context& context);
// The node for which is_promoted holds; nullptr when there is none.
[[nodiscard]] const RedisNode* find_promoted(Cluster& cluster, const Json& facts, const env::Context& context);

// That the role says: connected to `master` (its address, or one that the stack file does not know).
[[nodiscard]] bool is_replica_of(const Role& role, const RedisNode& master, const RedisSettings& settings);
// True when every answering replica that Sentinel may choose (whoever is the candidate: Sentinel may choose otherwise)
// is connected and has all that the master has, the candidate among them.
[[nodiscard]] Result<bool> is_caught_up(Cluster& cluster, const RedisNode& master, const std::string& candidate,
                                        const env::Context& context);

[[nodiscard]] Status pause_writes(Cluster& cluster, const RedisNode& master, const env::Context& context);
// REPLICAOF first, CLIENT UNPAUSE after: paused writes then fail with READONLY instead of being accepted and lost.
// kGuardRefused, and nothing is sent, when the new master is master no longer or the old one has become it again.
[[nodiscard]] Status demote(Cluster& cluster, const RedisNode& old_master, const RedisNode& new_master,
                            const Json& facts, const env::Context& context);

// Priorities that make Sentinel choose `candidate` (lowest non-zero wins): only those that change. Pure.
[[nodiscard]] std::map<std::string, std::int64_t> preferring_priorities(
    const std::map<std::string, std::int64_t>& present, const std::string& candidate);
inline constexpr const char* kOriginalPriorities = "prefer_candidate.original";
// Sets what the fact remembers, and makes it permanent where the server has a configuration file.
[[nodiscard]] Status restore_priorities(Cluster& cluster, const Json& facts, const env::Context& context);
[[nodiscard]] Status set_priority(Cluster& cluster, const RedisNode& node, std::int64_t priority,
                                  const env::Context& context);

}  // namespace aeterna::redis
