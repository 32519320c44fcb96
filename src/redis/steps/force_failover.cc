// redis.force_failover: SENTINEL FAILOVER on one Sentinel, without waiting for down-after and
// without an election.
//
// A forced failover needs no majority (sentinel.c, sentinelFailoverWaitStart), and the others adopt
// its higher epoch when they hear of it; so one Sentinel is enough, and a death that was proven
// (prove_death) stands for their votes. Needs: the fence, or a guard for the return, which is set
// up before the order, and a last look at the master: the order is sent within the time for which
// that look gives leave, or not at all. Before it the replicas are made level, because Sentinel
// chooses by offsets that are up to 10 s old. Where no Sentinel can or may do it, the next step
// promotes by hand. Changes the master; no undo. An unknown outcome is settled by ROLE. A promotion
// that does not come in time is left to redis.await_failover: the order stays armed.
#include "redis/steps/assist.h"
#include "redis/steps/candidates.h"
#include "redis/steps/look_at_death.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kPromotion = 15s;
constexpr Duration kLook = 500ms;
constexpr Duration kForceFailoverInterval = 5ms;
constexpr engine::StepSpec kForceFailoverSpec{"redis.force_failover", "let Sentinel promote a replica at once",
                                 engine::Risk::kDisruptive, 30s, false};

class ForceFailover final : public RedisStep {
  public:
    explicit ForceFailover(ActingPointer acting)
        : RedisStep(acting->cluster, kForceFailoverSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "SENTINEL FAILOVER " + settings().master_name + " on one Sentinel, at once";
    }

    std::string condition() const override {
        return engine::assist_condition(acting_->assist, "the master is proven dead and a Sentinel can promote");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!is_going(step.facts) || !old || is_by_hand(step.facts)) return CheckOutcome::kNotDue;
        if (is_seen(step)) return CheckOutcome::kAlreadyDone;
        if (is_fenced(step.facts, old->name)) return CheckOutcome::kReady;
        // An empty master that lives would be followed until the very promotion.
        if (find_string(step.facts, kDeathForm) != "empty") return CheckOutcome::kReady;
        step.facts[kByHand] = true;
        return CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        DeathLook look(*acting_, *old, step.facts);
        const DeathInput input = look.take(step.context);
        if (const auto underway = order_of_others(input)) {
            step.progress(*underway + " is failing over already");
            return {};
        }
        const auto level = level_replicas(*cluster_, input, step.context);
        const auto sentinels = able_sentinels(input, level);
        if (level.empty()) {
            refuse_assist(step, {"no replica is fit to be promoted any more"});
            return {};
        }
        // They may have answered when the death was proven.
        if (const std::string unseen = unseen_majority(input); !unseen.empty()) {
            refuse_assist(step, {unseen});
            return {};
        }
        if (!is_fenced(step.facts, old->name)) guard_of(*acting_, *old, step.context.run_id);
        step.facts[kDownAfterRemaining] =
            std::max(0.0, to_seconds(down_after_left(input.sentinels)));
        const auto leave = leave_to_act(*acting_, *old, step.facts, step.context);
        if (!leave) {
            refuse_assist(step, {leave.error().message});
            stand_down(*acting_);
            return {};
        }
        const RedisNode* acting = order_failover(sentinels, step, step.context.until(*leave));
        if (!acting) {
            step.facts[kByHand] = true;
            step.progress("no Sentinel can promote a fit replica: it is done by hand");
            return {};
        }
        return await_promotion(*acting, *old, level, step);
    }

    Status verify(engine::StepContext& step) override {
        static_cast<void>(is_seen(step));
        return {};
    }

  private:
    bool is_seen(engine::StepContext& step) {
        const RedisNode* promoted = find_promoted(*cluster_, step.facts, step.context);
        if (!promoted) return false;
        note_promotion(step, *promoted, clock());
        if (acting_->guard) acting_->guard->demote_for(promoted->name, step.facts);
        return true;
    }

    static std::optional<std::string> order_of_others(const DeathInput& input) {
        for (const SentinelAnswer& answer : input.sentinels)
            if (answer.opinion && answer.opinion->master.has_flag("failover_in_progress"))
                return answer.sentinel;
        return std::nullopt;
    }

    // The first that takes it; nullptr when none does. After an unknown outcome no other one is
    // asked.
    const RedisNode* order_failover(const std::vector<const RedisNode*>& sentinels,
                                    engine::StepContext& step, const env::Context& leave) {
        for (const RedisNode* sentinel : sentinels) {
            const std::string now = format_time(clock().wall_now());
            const auto reply = cluster_->order(
                *sentinel, {"SENTINEL", "FAILOVER", settings().master_name}, leave);
            const bool is_taken = reply || reply.error().effect == Effect::kUnknown ||
                                  reply.error().to_string().find("INPROG") != std::string::npos;
            if (!is_taken) {
                step.progress(reply.error().to_string());
                continue;
            }
            step.facts[kActingSentinel] = sentinel->name;
            step.facts[kOrderedAt] = now;
            return sentinel;
        }
        return nullptr;
    }

    Status await_promotion(const RedisNode& acting, const RedisNode& old,
                           const std::vector<const RedisNode*>& level, engine::StepContext& step) {
        const env::Context bounded = clock().within(kPromotion, step.context);
        MonoTime next_look = clock().now() + kLook;
        int idle_looks = 0;
        AETERNA_ASSIGN(
            const bool is_over, poll(cluster_->env(), bounded, kForceFailoverInterval, [&]() -> Result<bool> {
                for (const RedisNode* node : level) {
                    const auto role = cluster_->role(*node, bounded);
                    if (role && role->is_master() && is_seen(step)) return true;
                }
                if (clock().now() < next_look) return false;
                next_look = clock().now() + kLook;
                const auto opinion = cluster_->opinion(acting, bounded);
                const bool is_idle = opinion && !opinion->master.has_flag("failover_in_progress") &&
                                     opinion->current_address == old.address;
                idle_looks = is_idle ? idle_looks + 1 : 0;
                return idle_looks >= 3;
            }));
        if (find_string(step.facts, kNewMaster)) return {};
        if (is_over) {
            step.facts[kByHand] = true;
            step.progress(acting.name + " gave the failover up: it is done by hand");
        } else {
            step.progress("no replica became master within " + format_duration(kPromotion) + "; " +
                          acting.name + " is still at it");
        }
        return {};
    }

    ActingPointer acting_;
};

}  // namespace

StepPointer make_force_failover(ActingPointer acting) {
    return std::make_unique<ForceFailover>(std::move(acting));
}

}  // namespace aeterna::redis
