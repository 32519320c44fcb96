// redis.promote: SENTINEL FAILOVER on one Sentinel, then waits until a replica says that it is master.
//
// Needs: writes paused. A resumed run cannot know how much of the pause is left, so it is renewed and the offsets are
// compared again right before. Changes the master. No undo: the way back is another switchover. A failover that was
// ordered stays armed for failover-timeout, so the pause is renewed until a replica is master, or until the Sentinel has
// given up, which is a failure. An unknown outcome is settled by ROLE; INPROG means that an earlier attempt of ours is on its way. Sentinel closes all clients of the node
// that it promotes, which the cluster's kept connections survive.
#include <algorithm>

#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kCatchUp = 2s;
constexpr Duration kPlannedPromotion = 60s;
constexpr Duration kPauseRenewal = 5s;  // with kCatchUp and a silent server or two well below kPause
constexpr Duration kPlannedLook = 1s;
constexpr Duration kPromoteInterval = 5ms;
constexpr engine::StepSpec kPromoteSpec{"redis.promote", "let Sentinel promote the replica", engine::Risk::kDisruptive, 70s,
                                 false};

class Promote final : public RedisStep {
  public:
    Promote(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kPromoteSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override {
        return "SENTINEL FAILOVER " + settings().master_name + (candidate_.empty() ? "" : ", to " + candidate_);
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old || !is_promotion_seen(step)) return CheckOutcome::kReady;
        return CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) return make_error(ErrorCode::kInternal, "the master is not known");
        AETERNA_TRY(pause_writes(*cluster_, *old, step.context));
        const env::Context soon = clock().within(kCatchUp, step.context);
        AETERNA_ASSIGN(const bool is_equal, poll(cluster_->env(), soon, kPromoteInterval, [&] {
            return is_caught_up(*cluster_, *old, candidate_, step.context);
        }));
        if (!is_equal) return make_error(ErrorCode::kUnavailable, "the replicas fell behind '" + old->name + "'");
        AETERNA_ASSIGN(const RedisNode* acting, order_failover(step));
        return await_promotion(*old, *acting, step);
    }

    Status verify(engine::StepContext& step) override {
        if (is_promotion_seen(step)) return {};
        return make_error(ErrorCode::kTimeout, "no replica says that it is master",
                          "SENTINEL MASTER " + settings().master_name + " shows how far the failover is.");
    }

  private:
    bool is_promotion_seen(engine::StepContext& step) {
        const RedisNode* promoted = find_promoted(*cluster_, step.facts, step.context);
        if (promoted) step.facts[kNewMaster] = promoted->name;
        return promoted != nullptr;
    }

    // The first Sentinel that takes it. After an unknown outcome no other one is asked: ROLE will tell.
    Result<const RedisNode*> order_failover(engine::StepContext& step) {
        std::vector<const RedisNode*> order;
        for (const RedisNode& sentinel : settings().sentinels) order.push_back(&sentinel);
        const std::string first = find_string(step.facts, kActingSentinel).value_or("");
        std::stable_partition(order.begin(), order.end(),
                              [&](const RedisNode* sentinel) { return sentinel->name == first; });
        Error last = make_error(ErrorCode::kUnavailable, "no Sentinel answers");
        for (const RedisNode* sentinel : order) {
            const auto reply =
                cluster_->order(*sentinel, {"SENTINEL", "FAILOVER", settings().master_name}, step.context);
            const bool is_taken = reply || reply.error().effect == Effect::kUnknown ||
                                  reply.error().to_string().find("INPROG") != std::string::npos;
            if (is_taken) {
                step.facts[kActingSentinel] = sentinel->name;
                return sentinel;
            }
            last = reply.error();
        }
        return last;
    }

    Status await_promotion(const RedisNode& old, const RedisNode& acting, engine::StepContext& step) {
        const env::Context bounded = clock().within(kPlannedPromotion, step.context);
        std::vector<const RedisNode*> watched;
        for (const RedisNode& node : settings().nodes)
            if (node.name != old.name) watched.push_back(&node);
        MonoTime next_look = clock().now() + kPlannedLook;
        MonoTime next_renewal = clock().now() + kPauseRenewal;
        int idle_looks = 0;
        const auto promoted = poll(cluster_->env(), bounded, kPromoteInterval, [&]() -> Result<bool> {
            if (watch(watched, step, bounded)) return true;
            if (clock().now() >= next_renewal) {
                static_cast<void>(pause_writes(*cluster_, old, bounded));
                next_renewal = clock().now() + kPauseRenewal;
            }
            if (clock().now() < next_look) return false;
            if (is_promotion_seen(step)) return true;
            // Twice: an order without a reply may take effect between the two.
            idle_looks = has_given_up(acting, old, bounded) ? idle_looks + 1 : 0;
            next_look = clock().now() + kPlannedLook;
            if (idle_looks < 2) return false;
            return make_error(ErrorCode::kUnavailable, acting.name + " gave the failover up: no replica became master");
        });
        if (promoted && *promoted) return {};
        if (!promoted && promoted.error().code == ErrorCode::kUnavailable) return promoted.error();
        return make_error(ErrorCode::kTimeout,
                          (promoted ? "no replica became master within " + format_duration(kPlannedPromotion)
                                    : promoted.error().to_string()) +
                              "; " + acting.name + " may still promote one, and the pause on '" + old.name +
                              "' ends within " + format_duration(kPause),
                          "", Effect::kUnknown);
    }

    // True when one of them is the promoted node. A silent one must not slow the watch on the others.
    bool watch(std::vector<const RedisNode*>& nodes, engine::StepContext& step, const env::Context& context) {
        std::erase_if(nodes, [&](const RedisNode* node) {
            const auto role = cluster_->role(*node, context);
            if (role && role->is_master() && is_promoted(*cluster_, *node, step.facts, context))
                step.facts[kNewMaster] = node->name;
            return !role && role.error().code == ErrorCode::kTimeout;
        });
        return step.facts.contains(kNewMaster);
    }

    bool has_given_up(const RedisNode& acting, const RedisNode& old, const env::Context& context) {
        const auto opinion = cluster_->opinion(acting, context);
        return opinion && !opinion->master.has_flag("failover_in_progress") && opinion->current_address == old.address;
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_promote(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<Promote>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
