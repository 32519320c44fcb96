// redis.promote_by_hand: promotes the fullest replica itself, where no Sentinel can: none answers,
// or none may be trusted to choose. Then lets the others follow it and tells every Sentinel that
// answers, before the old master can return. Also where the one Sentinel that promoted has died
// before the others heard of it. Where the old master has been taken back meanwhile, the promoted one
// becomes its replica: what it took is kept before (docs/decisions/018).
//
// Needs: the proof of death and the fence, or a guard for the return; an empty master that lives
// has its writes paused first. Changes: roles, configuration files (CONFIG REWRITE), the Sentinels'
// memory. No undo: the way back is a switchover. check() recognises a replica that is promoted, and
// remembers the Sentinels' settings, durable before they are removed. Sentinels that do not answer
// are told later (redis.teach_sentinels).
#include "base/strings.h"
#include "redis/steps/assist.h"
#include "redis/steps/candidates.h"
#include "redis/steps/giving_way.h"
#include "redis/steps/look_at_death.h"
#include "redis/steps/return_guard.h"
#include "redis/steps/sentinel_teaching.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

// Sentinels say hello each 2 s.
constexpr Duration kTold = 6s;
constexpr Duration kToldInterval = 200ms;
constexpr Duration kGone = 1s;
constexpr engine::StepSpec kPromoteByHandSpec{"redis.promote_by_hand",
                                 "promote the fullest replica where no Sentinel can",
                                 engine::Risk::kDisruptive, 45s, false};

class PromoteByHand final : public RedisStep {
  public:
    explicit PromoteByHand(ActingPointer acting)
        : RedisStep(acting->cluster, kPromoteByHandSpec), acting_(std::move(acting)) {}

    std::string describe() const override {
        return "REPLICAOF NO ONE on the fullest replica, the others follow "
               "it, and every Sentinel "
               "is told (REMOVE, MONITOR, SET); one whose old master was taken back meanwhile gives way to it";
    }

    std::string condition() const override {
        return engine::assist_condition(
            acting_->assist, "the master is proven dead and no Sentinel can promote, or the one that did has told nobody");
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        if (node_of(step.facts, kGivesWay)) return CheckOutcome::kReady;
        if (!is_going(step.facts)) return CheckOutcome::kNotDue;
        if (!is_by_hand(step.facts) && is_untold(step)) {
            step.facts[kByHand] = true;
            step.progress("the Sentinel that promoted has died before it told the others: they are told by hand");
        }
        if (!is_by_hand(step.facts)) return CheckOutcome::kNotDue;
        if (is_taken_back(*acting_, step))
            return decide_to_give_way(*acting_, step) ? CheckOutcome::kReady : CheckOutcome::kNotDue;
        remember_sentinels(*cluster_, step.facts, step.context);
        asked_at_ = clock().now();
        return CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (node_of(step.facts, kGivesWay)) {
            give_way(*acting_, step);
            return {};
        }
        // Whom a majority has named while we stood still has taken writes: as if we had died.
        if (asked_at_ && clock().now() - *asked_at_ > kStoodStill && serves_by_majority(*acting_, step)) {
            stand_down(*acting_);
            if (decide_to_give_way(*acting_, step)) give_way(*acting_, step);
            return {};
        }
        if (!is_fenced(step.facts, old->name)) guard_of(*acting_, *old, step.context.run_id);
        const RedisNode* promoted = find_promoted(*cluster_, step.facts, step.context);
        if (!promoted && is_promoted_before(*old, step)) return {};
        if (!promoted) {
            AETERNA_ASSIGN(promoted, promote(*old, step));
            if (!promoted) stand_down(*acting_);
            if (!promoted) return {};
        }
        note_promotion(step, *promoted, clock());
        if (acting_->guard) acting_->guard->demote_for(promoted->name, step.facts);
        for (const std::string& line : turn_replicas(*cluster_, *promoted, old->name, Turn::kAll, step.context))
            step.progress("does not follow yet: " + line);
        for (const std::string& line : teach_all(*cluster_, *promoted, step.facts, step.context))
            step.progress("not told yet: " + line);
        return {};
    }

    Status verify(engine::StepContext& step) override {
        if (!is_going(step.facts) || node_of(step.facts, kGivesWay)) return {};
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        if (!promoted) return make_error(ErrorCode::kTimeout, "no replica is known to be promoted");
        // A dead one refuses; one that stands still may go on.
        Result<Role> role = make_error(ErrorCode::kTimeout, "it was not asked");
        static_cast<void>(poll(cluster_->env(), step.context, kToldInterval, [&]() -> Result<bool> {
            role = cluster_->role(*promoted, step.context);
            return role || role.error().code == ErrorCode::kConnectionRefused;
        }));
        if (!role) return std::move(role).error();
        if (role->is_master()) return {};
        return make_error(ErrorCode::kUnavailable, "'" + promoted->name + "' is not master");
    }

  private:
    // A Sentinel promoted by our order and is gone since, and those that are left name the old master still: on its
    // return they would make the new one its replica again.
    bool is_untold(engine::StepContext& step) {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        const std::string acting = find_string(step.facts, kActingSentinel).value_or("");
        if (!old || !promoted || acting.empty()) return false;
        const env::Context soon = clock().within(kTold, step.context);
        std::optional<MonoTime> gone_since;
        bool is_gone = false;
        static_cast<void>(poll(cluster_->env(), soon, kToldInterval, [&]() -> Result<bool> {
            const auto answers = cluster_->opinions(soon);
            bool has_gone = false, is_named = false;
            for (const SentinelAnswer& answer : answers) {
                if (answer.sentinel == acting) has_gone = !answer.opinion;
                else is_named = is_named || (answer.opinion && answer.opinion->current_address == old->address);
            }
            if (!is_named) return true;
            if (!has_gone) gone_since.reset();
            else if (!gone_since) gone_since = clock().now();
            is_gone = gone_since && clock().now() - *gone_since >= kGone;
            return is_gone;
        }));
        if (!is_gone) return false;
        if (acting_->guard) return true;  // back or not, it takes no writes
        // Back, and serving: whether it stays is for those to say whom clients ask.
        const auto role = cluster_->role(*old, step.context);
        return !role || !role->is_master() || is_taken_back(*acting_, step);
    }

    // Done by a process that has died since, and not to be seen now: no reason to promote another one, nor to let the
    // old master's writes go on, unless the Sentinels have turned back to it.
    bool is_promoted_before(const RedisNode& old, engine::StepContext& step) {
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        if (!promoted) return false;
        if (cluster_->is_named_by_majority(old, step.context)) return false;
        if (acting_->guard) acting_->guard->demote_for(promoted->name, step.facts);
        step.progress("'" + promoted->name + "' was promoted before, and does not say so now");
        return true;
    }

    // nullptr when it must not be done after all.
    Result<const RedisNode*> promote(const RedisNode& old, engine::StepContext& step) {
        DeathLook look(*acting_, old, step.facts);
        const DeathInput input = look.take(step.context);
        if (!step.facts.contains(kDownAfterRemaining))
            step.facts[kDownAfterRemaining] =
                std::max(0.0, to_seconds(down_after_left(input.sentinels)));
        const auto fit = fit_replicas(input);
        const RedisNode* none = nullptr;
        if (fit.empty()) {
            refuse_assist(step, {"no replica is fit to be promoted any more"});
            return none;
        }
        // They may have answered when the death was proven.
        if (const std::string unseen = unseen_majority(input); !unseen.empty()) {
            refuse_assist(step, {unseen});
            return none;
        }
        const auto leave = leave_to_act(*acting_, old, step.facts, step.context);
        if (!leave) {
            refuse_assist(step, {leave.error().message});
            return none;
        }
        if (const Status held = hold_empty_master(old, step); !held) {
            refuse_assist(step, {"the writes of the empty master could not be paused: " +
                                 held.error().to_string()});
            return none;
        }
        step.facts[kOrderedAt] = format_time(clock().wall_now());
        const auto promoted =
            cluster_->order(*fit.front(), {"REPLICAOF", "NO", "ONE"}, step.context.until(*leave));
        if (!promoted && promoted.error().effect == Effect::kNone && clock().now() >= *leave) {
            refuse_assist(step, {"the order to promote came too late"});
            return none;
        }
        AETERNA_TRY(promoted);
        // A server without a configuration file refuses; then there is nothing to make permanent.
        static_cast<void>(cluster_->order(*fit.front(), {"CONFIG", "REWRITE"}, step.context));
        return fit.front();
    }

    // Two writers would be of our making otherwise. One that has died meanwhile needs no holding.
    Status hold_empty_master(const RedisNode& old, engine::StepContext& step) {
        if (find_string(step.facts, kDeathForm) != "empty" || is_fenced(step.facts, old.name))
            return {};
        Status held = pause_writes(*cluster_, old, step.context);
        if (!held && held.error().code == ErrorCode::kConnectionRefused) return {};
        return held;
    }

    ActingPointer acting_;
    std::optional<MonoTime> asked_at_;  // when check() ended
};

}  // namespace

StepPointer make_promote_by_hand(ActingPointer acting) {
    return std::make_unique<PromoteByHand>(std::move(acting));
}

}  // namespace aeterna::redis
