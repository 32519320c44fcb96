// Assisted failover: what its steps share. The decision lives in the facts of the execution: a
// resumed run goes on from what was decided, and a refusal turns the acting steps into no-ops, so
// that the runbook waits for Sentinel as ever.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/runbook/assist.h"
#include "engine/runbook/foreign_fence.h"
#include "hosts/executor.h"
#include "redis/detect/master_histories.h"
#include "redis/steps/steps.h"

namespace aeterna::redis {

class ReturnGuard;
class ReturnGuards;

// Facts that the report and the drills read as well.
inline constexpr const char* kAssist = "assist";  // acted | refused | off | not_needed | proposed
inline constexpr const char* kAssistReasons = "assist_reasons";   // why it was refused
inline constexpr const char* kAssistActedAt = "assist_acted_at";  // RFC 3339
inline constexpr const char* kDownAfterRemaining = "down_after_remaining_seconds";
inline constexpr const char* kFenced = "fenced";  // names of nodes that this execution holds down
inline constexpr const char* kSalvaged = "salvaged";
// Facts of the steps alone.
inline constexpr const char* kDecision = "redis.assist_decision";  // go | stay
inline constexpr const char* kDeathForm = "redis.death";           // refused | silent | empty (it is back with less than its replicas)
inline constexpr const char* kProvenAt = "redis.proven_at";        // RFC 3339
inline constexpr const char* kByHand = "redis.by_hand";  // true: no Sentinel can promote, we do
// The promoted node that becomes a replica of the old master again, which is back and named by the Sentinels.
inline constexpr const char* kGivesWay = "redis.gives_way";
// What a master that was back with less took until it was killed, as kSalvaged.
inline constexpr const char* kTakenSince = "redis.taken_since_start";
inline constexpr const char* kKilled =
    "redis.killed";  // true: our fence killed it, so we start it again
// true: promoted by our order while the old master is fenced and too few Sentinels are left to agree.
inline constexpr const char* kFewSentinels = "redis.few_sentinels";
inline constexpr const char* kOrderedAt = "redis.failover_ordered_at";

// Reaches the hosts of the nodes.
class Hands {
  public:
    virtual ~Hands() = default;
    // Owned by the hands. kConfiguration when nothing can be done on the node's host.
    [[nodiscard]] virtual Result<hosts::Executor*> executor_of(const RedisNode& node) = 0;
    // True when its host can be acted on and whatever starts it heeds the fence's markers.
    [[nodiscard]] virtual bool can_fence(const RedisNode& node) = 0;
    // True when the node's files are files of this machine.
    [[nodiscard]] virtual bool has_files_of(const RedisNode& node) const = 0;
};
// `stack` and `env` outlive the result.
[[nodiscard]] std::shared_ptr<Hands> make_hands(const config::Stack& stack, const env::Env& env);

// One runbook's acting part, shared by its steps.
struct Acting {
    Acting() = default;
    Acting(const Acting&) = delete;
    Acting& operator=(const Acting&) = delete;
    // The guard may stay, for whoever else wants it.
    ~Acting();

    ClusterPointer cluster;
    std::shared_ptr<Hands> hands;
    std::shared_ptr<ReturnGuards> guards;
    std::shared_ptr<const MasterHistories> histories;  // nullptr: nobody listens beside this execution
    std::string state_directory;
    config::Assist assist = config::Assist::kOff;  // off: Sentinel alone acts
    std::shared_ptr<ReturnGuard> guard;  // armed for this runbook; taken when it is first needed

    [[nodiscard]] std::string salvage_directory(const std::string& execution) const {
        return state_directory + "/salvage/" + execution;
    }
};
using ActingPointer = std::shared_ptr<Acting>;

// True while the assist goes on: proven, not refused.
[[nodiscard]] bool is_going(const Json& facts);
[[nodiscard]] bool is_fenced(const Json& facts, const std::string& node);
[[nodiscard]] bool is_by_hand(const Json& facts);
// The master by a majority of the Sentinels; after a promotion by hand the promoted node, because
// they are only being told, and so while no majority of them answers after a promotion that needed none.
[[nodiscard]] Result<const RedisNode*> named_master(Cluster& cluster,
                                                    const engine::StepContext& step);
// Writes the refusal down and lets the runbook go on without us.
void refuse_assist(engine::StepContext& step, const std::vector<std::string>& reasons);
// The promotion was seen: who, and that we brought it about.
void note_promotion(engine::StepContext& step, const RedisNode& promoted, const env::Clock& clock);
// Where its host can be acted on.
[[nodiscard]] Status look_for_fence(engine::ForeignFenceWatch& watch, const Acting& acting, const RedisNode& node,
                                    const engine::StepContext& step);
// The guard of the old master's return, armed.
ReturnGuard& guard_of(Acting& acting, const RedisNode& old_master, const std::string& execution);

// No promotion comes of it: what the guard holds goes on.
void stand_down(Acting& acting);

// Steps, in the order of the runbook. Each is a no-op unless the assist goes on.
[[nodiscard]] StepPointer make_prove_death(ActingPointer acting, std::string old_primary);
[[nodiscard]] StepPointer make_fence_master(ActingPointer acting);
[[nodiscard]] StepPointer make_force_failover(ActingPointer acting);
[[nodiscard]] StepPointer make_promote_by_hand(ActingPointer acting);
[[nodiscard]] StepPointer make_salvage(ActingPointer acting);
[[nodiscard]] StepPointer make_rejoin_old(ActingPointer acting);
[[nodiscard]] StepPointer make_teach_sentinels(ActingPointer acting);

}  // namespace aeterna::redis
