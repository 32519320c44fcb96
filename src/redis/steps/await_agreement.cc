// redis.await_agreement: waits until every answering Sentinel, and a majority at least, names the promoted node. Read-only;
// waits in check(). Sentinels learn of a switch by each other's hello within 2 s; replicas are reconfigured meanwhile.
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;

constexpr engine::StepSpec kAwaitAgreementSpec{"redis.await_agreement", "wait until every Sentinel names the new master",
                                 engine::Risk::kReadOnly, 60s, false};

class AwaitAgreement final : public RedisStep {
  public:
    AwaitAgreement(ClusterPointer cluster, std::string candidate)
        : RedisStep(std::move(cluster), kAwaitAgreementSpec), candidate_(std::move(candidate)) {}
    std::string describe() const override { return "wait until every Sentinel names the new master"; }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        const RedisNode* promoted = node_of(step.facts, kNewMaster);
        if (!promoted) return CheckOutcome::kReady;
        std::string missing;
        AETERNA_ASSIGN(const bool is_agreed, poll(cluster_->env(), step.context, 50ms, [&]() -> Result<bool> {
            missing = who_disagrees(*promoted, step.context);
            return missing.empty();
        }));
        if (!is_agreed)
            return make_error(ErrorCode::kUnavailable, "the Sentinels do not agree on '" + promoted->name + "': " + missing);
        if (candidate_.empty() || candidate_ == promoted->name) return CheckOutcome::kAlreadyDone;
        return make_error(ErrorCode::kPartial,
                          "Sentinel promoted '" + promoted->name + "' instead of '" + candidate_ + "'; nothing is lost",
                          "Run the switchover again to move on to the candidate.");
    }

    Status apply(engine::StepContext&) override { return {}; }
    Status verify(engine::StepContext&) override { return {}; }

  private:
    std::string who_disagrees(const RedisNode& promoted, const env::Context& context) {
        std::size_t agreeing = 0;
        for (const SentinelAnswer& answer : cluster_->opinions(context)) {
            if (!answer.opinion) continue;
            const SentinelOpinion& opinion = *answer.opinion;
            if (opinion.current_address != promoted.address)
                return answer.sentinel + " names '" + settings().name_of(opinion.current_address) + "'";
            if (opinion.master.has_flag("failover_in_progress"))
                return answer.sentinel + " still reconfigures the replicas";
            ++agreeing;
        }
        return agreeing >= settings().majority() ? "" : "too few Sentinels answer";
    }

    std::string candidate_;
};

}  // namespace

StepPointer make_await_agreement(ClusterPointer cluster, std::string candidate) {
    return std::make_unique<AwaitAgreement>(std::move(cluster), std::move(candidate));
}

}  // namespace aeterna::redis
