// redis.choose_moment: waits for the moment at which a switchover is shortest for clients, and remembers the Sentinel.
//
// During a failover the acting Sentinel reads the candidate's INFO once a second (sentinel.c, sentinelSendPeriodicCommands)
// and tells clients of the new master only after it has read "role:master". Started when its last INFO is about 0.65 s
// old, the next one comes right after the promotion instead of up to 1 s later. Only with a candidate: without one, another
// replica may be chosen. Changes nothing, waits in check(), and never fails: without a good moment the switch is just slower.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

// INFO is read each 10 s outside of a failover, so each Sentinel passes the window that often.
constexpr Duration kChooseMomentBudget = 12s;
constexpr Duration kChooseMomentInterval = 10ms;
// The promotion takes up to 0.28 s from the pause on: it must be over when the INFO turns 1 s old.
constexpr std::int64_t kEarliestMs = 620;
constexpr std::int64_t kLatestMs = 700;
constexpr engine::StepSpec kChooseMomentSpec{"redis.choose_moment", "wait for the moment at which clients notice least",
                                 engine::Risk::kReadOnly, 15s, false};

class ChooseMoment final : public RedisStep {
  public:
    ChooseMoment(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kChooseMomentSpec), candidate_(std::move(candidate)) {}

    std::string describe() const override { return "wait until a Sentinel is about to read the INFO of " + candidate_; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        if (!node_of(step.facts, kOldMaster)) return CheckOutcome::kReady;
        step.facts.erase(kActingSentinel);
        const env::Context soon = clock().within(kChooseMomentBudget, step.context);
        const auto found = poll(cluster_->env(), soon, kChooseMomentInterval, [&]() -> Result<bool> {
            for (const RedisNode& sentinel : settings().sentinels) {
                const auto opinion = cluster_->opinion(sentinel, soon);
                if (!opinion || !is_good(*opinion)) continue;
                step.facts[kActingSentinel] = sentinel.name;
                return true;
            }
            return false;
        });
        if (!found) return found.error();
        return CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext&) override { return {}; }
    Status verify(engine::StepContext&) override { return {}; }

  private:
    bool is_good(const SentinelOpinion& opinion) const {
        for (const ReplicaView& replica : opinion.replicas)
            if (settings().name_of(replica.address) == candidate_)
                return replica.info_refresh_ms >= kEarliestMs && replica.info_refresh_ms <= kLatestMs;
        return false;
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_choose_moment(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<ChooseMoment>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
