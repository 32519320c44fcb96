// redis.promote: SENTINEL FAILOVER on one Sentinel, then waits until a replica says that it is master.
//
// Needs: writes paused. A resumed run cannot know how much of the pause is left, so it is renewed and the offsets are
// compared again right before. Changes the master. No undo: the way back is another switchover. An unknown outcome is
// settled by ROLE; INPROG means that an earlier attempt of ours is on its way. Sentinel closes all clients of the node
// that it promotes, which the cluster's kept connections survive.
#include <algorithm>

#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kCatchUp = 2s;
constexpr Duration kPromotion = 8s;  // with kCatchUp well below kPause
constexpr Duration kInterval = 5ms;
constexpr engine::StepSpec kSpec{"redis.promote", "let Sentinel promote the replica", engine::Risk::kDisruptive, 12s,
                                 false};

class Promote final : public RedisStep {
  public:
    Promote(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override {
        return "SENTINEL FAILOVER " + settings().master_name + (candidate_.empty() ? "" : ", to " + candidate_);
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old || !is_promoted(*old, step)) return CheckOutcome::kReady;
        return CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) return make_error(ErrorCode::kInternal, "the master is not known");
        AETERNA_TRY(pause_writes(*cluster_, *old, step.context));
        const env::Context soon = clock().within(kCatchUp, step.context);
        AETERNA_ASSIGN(const bool is_equal, poll(cluster_->env(), soon, kInterval, [&] {
            return is_caught_up(*cluster_, *old, candidate_, step.context);
        }));
        if (!is_equal) return make_error(ErrorCode::kUnavailable, "the replicas fell behind '" + old->name + "'");
        AETERNA_TRY(order_failover(step));
        if (await_promotion(*old, step)) return {};
        return make_error(ErrorCode::kTimeout, "no replica became master within " + format_duration(kPromotion), "",
                          Effect::kUnknown);
    }

    Status verify(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (old && is_promoted(*old, step)) return {};
        return make_error(ErrorCode::kTimeout, "no replica says that it is master",
                          "SENTINEL MASTER " + settings().master_name + " shows how far the failover is.");
    }

  private:
    bool is_promoted(const RedisNode& old, engine::StepContext& step) {
        const RedisNode* known = node_of(step.facts, kNewMaster);
        if (known) {
            const auto role = cluster_->role(*known, step.context);
            if (role && role->is_master()) return true;
        }
        const RedisNode* promoted = find_promoted(*cluster_, old, step.context);
        if (promoted) step.facts[kNewMaster] = promoted->name;
        return promoted != nullptr;
    }

    // The first Sentinel that takes it. After an unknown outcome no other one is asked: ROLE will tell.
    Status order_failover(engine::StepContext& step) {
        std::vector<RedisNode> order = settings().sentinels;
        const std::string first = find_string(step.facts, kActingSentinel).value_or("");
        std::stable_partition(order.begin(), order.end(),
                              [&](const RedisNode& sentinel) { return sentinel.name == first; });
        Error last = make_error(ErrorCode::kUnavailable, "no Sentinel answers");
        for (const RedisNode& sentinel : order) {
            const auto reply =
                cluster_->order(sentinel, {"SENTINEL", "FAILOVER", settings().master_name}, step.context);
            if (reply || reply.error().effect == Effect::kUnknown) return {};
            last = reply.error();
            if (last.to_string().find("INPROG") != std::string::npos) return {};
        }
        return last;
    }

    bool await_promotion(const RedisNode& old, engine::StepContext& step) {
        std::vector<const RedisNode*> watched;
        for (const RedisNode& node : settings().nodes)
            if (node.name != old.name) watched.push_back(&node);
        const env::Context soon = clock().within(kPromotion, step.context);
        const auto promoted = poll(cluster_->env(), soon, kInterval, [&]() -> Result<bool> {
            std::erase_if(watched, [&](const RedisNode* node) {
                const auto role = cluster_->role(*node, soon);
                if (role && role->is_master()) step.facts[kNewMaster] = node->name;
                // A silent node must not slow the watch on the others.
                return !role && role.error().code == ErrorCode::kTimeout;
            });
            return step.facts.contains(kNewMaster);
        });
        return promoted && *promoted;
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_promote(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<Promote>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
