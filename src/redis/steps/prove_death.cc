// redis.prove_death: decides whether the assist may go on: proves that the master is dead (or came
// back empty) from two vantages, and refuses where acting could do harm.
//
// Needs: RESP to the nodes and the Sentinels. Changes nothing; writes the decision into the facts
// together with what later proves a promotion (old history, replicas, epoch). It never fails the execution: a refusal, or no
// proof in time, leaves the failover to Sentinel, whose down-after runs meanwhile. With assist 'propose' a proof is put
// before a person, and looked at anew until somebody says yes or Sentinel has replaced the master.
#include <fmt/core.h>

#include "base/strings.h"
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
                                 engine::Risk::kReadOnly, 6min, false};
// As long as Sentinel may take, with the tries of other Sentinels.
constexpr Duration kProposalStands = 5min;
constexpr Duration kProposalInterval = 200ms;

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
        env::Context budget = clock().within(kProofBudget, step.context);
        DeathLook look(*acting_, old, step.facts);
        std::string told;
        std::optional<DeathVerdict> proposed;
        bool is_approved = acting_->assist == config::Assist::kAct;
        while (true) {
            // Before the look that it is carried out on: asking for it takes its time.
            if (proposed && !is_approved) is_approved = engine::take_approval(step);
            const DeathInput input = look.take(budget);
            const DeathVerdict verdict = judge_death(input);
            const bool is_proven = verdict.kind == Kind::kProven;
            if (is_replaced(input, old)) {
                step.progress("Sentinel has replaced '" + old.name + "' already");
                return leave_it(step, is_approved ? std::nullopt : proposed);
            }
            if (is_proven && is_approved) return go(verdict, input, step);
            if (is_proven && !proposed) {
                propose(proposed.emplace(verdict), input, old, step);
                budget = clock().within(kProposalStands, step.context);
            }
            const bool is_late = clock().now() + kProofInterval >= budget.deadline;
            if (proposed && !is_approved && (verdict.kind == Kind::kRefused || is_late)) {
                const std::string late = "it has stood for " + format_duration(kProposalStands);
                step.progress("it is not proposed any more: " +
                              (verdict.kind == Kind::kRefused ? join(verdict.evidence, "; ") : late));
                return leave_it(step, proposed);
            }
            if (verdict.kind == Kind::kRefused) {
                refuse_assist(step, verdict.evidence);
                return {};
            }
            if (!is_proven && verdict.evidence.front().substr(0, 20) != told.substr(0, 20))
                step.progress(verdict.evidence.front());
            told = verdict.evidence.front();
            if (is_late) {
                refuse_assist(step, {"not proven within " + format_duration(proposed ? kProposalStands : kProofBudget) + ": " + told});
                return {};
            }
            if (!cluster_->env().clock.sleep_for(proposed ? kProposalInterval : kProofInterval, step.context.stop))
                return make_error(ErrorCode::kCancelled, "stopped while proving the death");
        }
    }

    // Nothing is left for us to do, or nobody wants it done.
    static Status leave_it(engine::StepContext& step, const std::optional<DeathVerdict>& proposed) {
        step.facts[kDecision] = "stay";
        step.facts[kAssist] = proposed ? "proposed" : "not_needed";
        if (!proposed) return {};
        step.facts[kAssistReasons] = proposed->evidence;
        step.progress("nobody has said yes to the proposal");
        return {};
    }

    static void propose(const DeathVerdict& verdict, const DeathInput& input, const RedisNode& old, engine::StepContext& step) {
        step.progress(describe_proof(verdict));
        if (!step.proposal) return;
        step.proposal->put(fmt::format("fence {} and have '{}' or a fuller replica promoted at once (say yes with "
                                       "'aeterna-dr failover redis'); Sentinel takes it for dead by itself in {}",
                                       old.name, verdict.fit.front()->name,
                                       format_duration(down_after_left(input.sentinels))));
    }

    static std::string describe_proof(const DeathVerdict& verdict) {
        const char* what = verdict.form == "empty" ? "the master lost its data" : "the master is dead";
        return what + ("; " + join(verdict.evidence, "; "));
    }

    bool is_replaced(const DeathInput& input, const RedisNode& old) const {
        const auto address = majority_of(input.sentinels);
        return address && *address != old.address;
    }

    Status go(const DeathVerdict& verdict, const DeathInput& input, engine::StepContext& step) {
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
        step.progress(describe_proof(verdict));
        return {};
    }

    ActingPointer acting_;
    std::string old_primary_;
};

}  // namespace

StepPointer make_prove_death(ActingPointer acting, std::string old_primary) {
    return std::make_unique<ProveDeath>(std::move(acting), std::move(old_primary));
}

}  // namespace aeterna::redis
