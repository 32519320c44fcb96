// redis.await_catch_up: waits until the candidate (without one: every replica that Sentinel may choose) has every byte
// that the paused master has. Read-only. On loopback the first look suffices.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kAwaitCatchUpSpec{"redis.await_catch_up", "wait until the replica has everything", engine::Risk::kReadOnly,
                                 5s, false};

class AwaitCatchUp final : public RedisStep {
  public:
    AwaitCatchUp(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kAwaitCatchUpSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override {
        return "wait until " + (candidate_.empty() ? "the replicas have" : candidate_ + " has") + " all that the master has";
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return CheckOutcome::kReady;
        // A resumed run may find the promotion done; then there is nothing to wait for.
        if (find_promoted(*cluster_, step.facts, step.context)) return CheckOutcome::kAlreadyDone;
        AETERNA_ASSIGN(const bool is_equal, is_caught_up(*cluster_, *master, candidate_, step.context));
        return is_equal ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* master = node_of(step.facts, kOldMaster);
        if (!master) return make_error(ErrorCode::kInternal, "the master is not known");
        AETERNA_ASSIGN(const bool is_equal, poll(cluster_->env(), step.context, 5ms, [&] {
            return is_caught_up(*cluster_, *master, candidate_, step.context);
        }));
        if (is_equal) return {};
        return make_error(ErrorCode::kUnavailable, "the replicas did not catch up with '" + master->name + "' in " +
                                                       format_duration(spec().timeout),
                          "Look at their replication lag and try again when the load is lower.");
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    std::string candidate_;
};

}  // namespace

StepPointer make_await_catch_up(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<AwaitCatchUp>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
