// redis.rejoin_old: brings the fenced old master back as a replica: its configuration names the new
// master before it is unfenced and started. A master that was not fenced is met by the guard
// (return_guard.h), which is set up here where an earlier step has not, and waited for a while;
// past that redis.await_rejoin says what is missing.
//
// Needs: a confirmed new master; the salvage is over. Changes: the configuration file, this
// execution's markers, starts a process. No undo. An unknown outcome is settled by doing it again.
// Where the file cannot be written, the fence is lifted under the guard instead.
#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/giving_way.h"
#include "redis/steps/rejoin.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/sentinel_teaching.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr Duration kMeeting = 60s;
constexpr Duration kRejoinOldInterval = 100ms;
// A Sentinel that comes back meanwhile, untold, turns every replica back to the old master ten seconds later.
constexpr Duration kTeachAgain = 1s;
constexpr engine::StepSpec kRejoinOldSpec{"redis.rejoin_old", "bring the old master back as a replica",
                                 engine::Risk::kDisruptive, 90s, false};

class RejoinOld final : public RedisStep {
  public:
    explicit RejoinOld(ActingPointer acting)
        : RedisStep(acting->cluster, kRejoinOldSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "let the old master's configuration name the new one, lift the fence, start it; or "
               "meet its return";
    }

    std::string condition() const override {
        return engine::assist_condition(acting_->assist, "another node took the old master's place");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const RedisNode* master = node_of(step.facts, kNewMaster);
        if (!old || !master || !engine::may_act(acting_->assist, step.facts)) return CheckOutcome::kNotDue;
        if (is_fenced(step.facts, old->name)) return CheckOutcome::kReady;
        if (!find_string(step.facts, kOldReplid)) remember_lineage(*master, step);
        const auto role = cluster_->role(*old, step.context);
        return role && !role->is_master() ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const RedisNode* master = node_of(step.facts, kNewMaster);
        if (!is_fenced(step.facts, old->name)) return meet(*old, *master, step);
        if (const Status written = follow_at_start(*acting_, *old, *master); !written) {
            step.progress("its return is guarded instead: " +
                          one_line(written.error().to_string()));
            guard_of(*acting_, *old, step.context.run_id).demote_for(master->name, step.facts);
        }
        return lift_and_start(*acting_, *old, step);
    }

    Status verify(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (old && is_fenced(step.facts, old->name))
            return make_error(ErrorCode::kPartial,
                              "'" + old->name + "' is still fenced by this execution");
        return {};
    }

  private:
    Status meet(const RedisNode& old, const RedisNode& master, engine::StepContext& step) {
        if (give_way_if_taken_back(*acting_, step)) return {};
        ReturnGuard& guard = guard_of(*acting_, old, step.context.run_id);
        guard.demote_for(master.name, step.facts);
        // A fence that could not be confirmed has killed it nevertheless.
        if (find_boolean(step.facts, kKilled).value_or(false)) {
            static_cast<void>(follow_at_start(*acting_, old, master));
            AETERNA_TRY(lift_and_start(*acting_, old, step));
        }
        const env::Context budget = clock().within(kMeeting, step.context);
        const bool is_taught = is_by_hand(step.facts) && is_going(step.facts);
        MonoTime teach_at = clock().now(), looked_at = teach_at;
        const auto is_back = poll(cluster_->env(), budget, kRejoinOldInterval, [&]() -> Result<bool> {
            if (guard.report().is_given_back) return true;
            // We stood still: whether it has served meanwhile is for the guard to find out first.
            if (clock().now() - looked_at > kTeachAgain * 3) teach_at = clock().now() + kTeachAgain;
            looked_at = clock().now();
            if (is_taught && clock().now() >= teach_at) {
                static_cast<void>(teach_once(*cluster_, master, step.facts, budget));
                teach_at = clock().now() + kTeachAgain;
            }
            const auto role = cluster_->role(old, budget);
            if (role && !role->is_master()) return true;
            // What redis.await_rejoin says of it need not wait; Sentinels that come back have to be met all the same.
            return !is_taught && !look_for_fence(fences_, *acting_, old, step);
        });
        // It takes writes by the word of the Sentinels: telling them otherwise would lose those.
        if (guard.report().is_given_back) {
            step.facts.erase(kByHand);
            stand_down(*acting_);
            give_way_if_taken_back(*acting_, step);
        }
        return is_back ? Status() : Status(is_back.error());
    }

    // Sentinel did it without us: then the new master tells whose heir it is.
    void remember_lineage(const RedisNode& master, engine::StepContext& step) {
        if (const auto info = cluster_->info(master, step.context))
            step.facts[kOldReplid] = info->replid2;
    }

    ActingPointer acting_;
    engine::ForeignFenceWatch fences_;
};

}  // namespace

StepPointer make_rejoin_old(ActingPointer acting) {
    return std::make_unique<RejoinOld>(std::move(acting));
}

}  // namespace aeterna::redis
