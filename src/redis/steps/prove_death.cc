// redis.prove_death: decides whether the assist may go on: proves that the master is dead (or came
// back empty) from two vantages, and refuses where acting could do harm.
//
// Needs: RESP to the nodes and the Sentinels. Changes nothing; writes the decision into the facts
// together with what later proves a promotion (old history, replicas, epoch). It never fails the execution: a refusal, or no proof in time, leaves the failover to
// Sentinel, whose down-after runs meanwhile.
#include "redis/steps/assist.h"
#include "redis/steps/death_proof.h"
#include "redis/steps/look_at_death.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

using engine::CheckOutcome;
using Kind = DeathVerdict::Kind;

constexpr engine::StepSpec kProveDeathSpec{"redis.prove_death",
                                 "prove that the master is dead, or leave it to Sentinel",
                                 engine::Risk::kReadOnly, 20s, false};

class ProveDeath final : public RedisStep {
  public:
    ProveDeath(ActingPointer acting, std::string old_primary)
        : RedisStep(acting->cluster, kProveDeathSpec),
          acting_(std::move(acting)),
          old_primary_(std::move(old_primary)) {}

    std::string describe() const override {
        return "prove from two vantages that " +
               (old_primary_.empty() ? "the master" : old_primary_) +
               " is dead; otherwise leave the failover to Sentinel";
    }

    Result<CheckOutcome> check(engine::StepContext& step) override {
        return find_string(step.facts, kDecision) ? CheckOutcome::kAlreadyDone : CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const RedisNode* old = node_of(step.facts, kOldMaster);
        if (!old) {
            const auto named = supposed_old_master(*cluster_, old_primary_, step.context);
            if (!named) {
                refuse_assist(step, {named.error().to_string()});
                return {};
            }
            old = *named;
        }
        step.facts[kOldMaster] = old->name;
        return decide(*old, step);
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    Status decide(const RedisNode& old, engine::StepContext& step) {
        const env::Context budget = clock().within(kProofBudget, step.context);
        DeathLook look(*acting_, old, step.facts);
        std::string told;
        while (true) {
            const DeathInput input = look.take(budget);
            if (is_replaced(input, old)) {
                step.facts[kDecision] = "stay";
                step.facts[kAssist] = "not_needed";
                step.progress("Sentinel has replaced '" + old.name + "' already");
                return {};
            }
            const DeathVerdict verdict = judge_death(input);
            if (verdict.kind == Kind::kProven) {
                go(verdict, input, step);
                return {};
            }
            if (verdict.kind == Kind::kRefused) {
                refuse_assist(step, verdict.evidence);
                return {};
            }
            if (verdict.evidence.front().substr(0, 20) != told.substr(0, 20))
                step.progress(verdict.evidence.front());
            told = verdict.evidence.front();
            if (clock().now() + kProofInterval >= budget.deadline) {
                refuse_assist(step,
                              {"not proven within " + format_duration(kProofBudget) + ": " + told});
                return {};
            }
            if (!cluster_->env().clock.sleep_for(kProofInterval, step.context.stop))
                return make_error(ErrorCode::kCancelled, "stopped while proving the death");
        }
    }

    bool is_replaced(const DeathInput& input, const RedisNode& old) const {
        const auto address = majority_of(input.sentinels);
        return address && *address != old.address;
    }

    void go(const DeathVerdict& verdict, const DeathInput& input, engine::StepContext& step) {
        step.facts[kDecision] = "go";
        step.facts[kDeathForm] = verdict.form;
        step.facts[kProvenAt] = format_time(clock().wall_now());
        Json replicas = Json::array();
        for (const RedisNode* node : verdict.fit) replicas.push_back(node->name);
        step.facts[kReplicas] = replicas;
        // The dead master cannot say which history it wrote; its replicas carry its id.
        for (const ReplicaAnswer& replica : input.replicas)
            if (replica.node == verdict.fit.front()) step.facts[kOldReplid] = replica.info->replid;
        // Where none answers nobody knows it.
        std::optional<std::int64_t> epoch;
        for (const SentinelAnswer& answer : input.sentinels)
            if (answer.opinion) epoch = std::max(epoch.value_or(0), answer.opinion->master.config_epoch);
        if (epoch) step.facts[kOldEpoch] = *epoch;
        std::string text =
            verdict.form == "empty" ? "the master lost its data" : "the master is dead";
        for (const std::string& line : verdict.evidence) text += "; " + line;
        step.progress(text);
    }

    ActingPointer acting_;
    std::string old_primary_;
};

}  // namespace

StepPointer make_prove_death(ActingPointer acting, std::string old_primary) {
    return std::make_unique<ProveDeath>(std::move(acting), std::move(old_primary));
}

}  // namespace aeterna::redis
