// redis.pause_writes: CLIENT PAUSE … WRITE on the master, 15 s at most: a dead-man's switch longer than Sentinel needs to
// demote a leftover old master. Clients' writes wait, reads go on. Undo: CLIENT UNPAUSE, but never on a second master:
// if a promotion has happened meanwhile, the old one is demoted first.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kPauseWritesSpec{"redis.pause_writes", "let the clients' writes wait on the master",
                                 engine::Risk::kDisruptive, 15s, true};

class PauseWrites final : public RedisStep {
  public:
    explicit PauseWrites(ClusterPointer cluster) : RedisStep(std::move(cluster), kPauseWritesSpec) {}

    std::string describe() const override { return "pause writes on the master for at most " + format_duration(kPause); }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return CheckOutcome::kReady;
        AETERNA_ASSIGN(const Role role, cluster_->role(*master, step.context));
        if (role.is_master()) return CheckOutcome::kReady;
        return make_error(ErrorCode::kGuardRefused, "'" + master->name + "' is no longer the master",
                          "Run the switchover anew.");
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return make_error(ErrorCode::kInternal, "the master is not known");
        return pause_writes(*cluster_, *master, step.context);
    }

    // Redis 7.0 does not tell whether it is paused; that it answers as master is what can be seen.
    Status verify(engine::StepContext& step) override {
        const auto outcome = check(step);
        return outcome ? Status() : Status(outcome.error());
    }

    Status undo(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) return {};
        AETERNA_ASSIGN(const bool is_settled, poll(cluster_->env(), step.context, 100ms, [&]() -> Result<bool> {
            for (const SentinelAnswer& answer : cluster_->opinions(step.context))
                if (answer.opinion && answer.opinion->master.has_flag("failover_in_progress") &&
                    !find_promoted(*cluster_, step.facts, step.context))
                    return false;
            return true;
        }));
        if (const RedisNode* promoted = find_promoted(*cluster_, step.facts, step.context))
            return demote(*cluster_, *old, *promoted, step.facts, step.context);
        if (!is_settled)
            return make_error(ErrorCode::kUnavailable,
                              "a failover is still in progress, so the pause is left to run out on '" + old->name + "'");
        if (node_of(step.facts, kNewMaster)) AETERNA_TRY(check_still_named(*old, step.context));
        AETERNA_TRY(cluster_->order(*old, {"CLIENT", "UNPAUSE"}, step.context));
        return {};
    }

  private:
    // A promotion was seen that cannot be seen now: only the Sentinels' word makes the old master the only writer.
    Status check_still_named(const RedisNode& old, const env::Context& context) {
        const auto master = cluster_->majority_master(context);
        if (master && *master == old.address) return {};
        return make_error(ErrorCode::kUnavailable, "a replica was promoted, so the pause is left to run out on '" +
                                                       old.name + "'");
    }
};

}  // namespace

StepPointer make_pause_writes(ClusterPointer cluster) { return std::make_unique<PauseWrites>(std::move(cluster)); }

}  // namespace aeterna::redis
