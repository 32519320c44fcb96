// postgres.prove_loss
// Does: looks from several vantages (SQL, REST, etcd, the host's process table, the replicas' WAL receivers) until it
// is proven that the primary is lost, or that acting would be wrong. Needs: etcd, an executor that can fence. Changes:
// nothing. Undo: none. A refusal is no failure: it is noted, and the runbook waits for Patroni as it does without
// assist. With assist 'propose' a proof is put before a person, and looked at anew until somebody says yes or Patroni has
// dealt with the loss.
#include <fmt/core.h>

#include "base/strings.h"
#include "postgres/detect/explain_stuck.h"
#include "postgres/steps/await_loss.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kProveLossSpec{"postgres.prove_loss",
                                          "prove from several vantages that the primary is lost, or refuse to act",
                                          engine::Risk::kReadOnly, 6min, false};

namespace {

class ProveLoss final : public engine::Step {
  public:
    explicit ProveLoss(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kProveLossSpec; }

    std::string describe() const override {
        return "prove that " + (parts_.old_primary.empty() ? "the primary" : "'" + parts_.old_primary + "'") +
               " is lost: its processes, its ports, its replicas and etcd must agree";
    }

    std::string condition() const override {
        if (parts_.assist == config::Assist::kOff) return "only with assist 'propose' or 'act'";
        return "only if its agent could not simply be started again";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (parts_.assist == config::Assist::kOff && !step.facts.contains("assist")) step.facts["assist"] = "off";
        if (!step.facts.contains("assist")) return check_candidate(step);
        const bool is_settled = find_boolean(step.facts, "restart_agent.done").value_or(false) || is_assist(step.facts, "off");
        return is_settled ? engine::CheckOutcome::kNotDue : engine::CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext& step) override {
        std::optional<LossFinding> proposed;
        bool is_approved = parts_.assist == config::Assist::kAct;
        // What a yes is carried out on is the look behind it: journaling the one and reading the other take their time.
        const auto use_proof = [&](const LossFinding& finding) {
            if (is_approved) return ProofUse::kTaken;
            if (!proposed) propose(proposed.emplace(finding), step);
            is_approved = engine::take_approval(step);
            return is_approved ? ProofUse::kNextLook : ProofUse::kLater;
        };
        AETERNA_ASSIGN(const LossFinding finding,
                       await_loss(parts_, live_, parts_.old_primary, step, Duration::zero(), use_proof));
        if (!finding.old) {
            refuse_assist(step, {"nobody knows which node was the primary"});
            return {};
        }
        if (is_approved || !proposed) {
            settle(step, finding);
        } else {
            settle_assist(step, "proposed", proposed->verdict.reasons);
            step.progress("nobody has said yes to the proposal: " + join(finding.verdict.reasons, "; "));
        }
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    // Whoever names a node wants that one: before anything is touched.
    Result<engine::CheckOutcome> check_candidate(engine::StepContext& step) {
        if (parts_.candidate.empty()) return engine::CheckOutcome::kReady;
        const std::string why = candidate_hindrance(parts_, live_.look(step.context, parts_.old_primary));
        if (why.empty()) return engine::CheckOutcome::kReady;
        return make_error(ErrorCode::kGuardRefused, why, "Name another node, or none.");
    }

    static void propose(const LossFinding& finding, engine::StepContext& step) {
        const std::string& old = finding.old->name;
        step.progress(fmt::format("'{}' is lost: {}", old, join(finding.verdict.reasons, "; ")));
        if (!step.proposal) return;
        step.proposal->put(fmt::format("fence {} and release its lease (say yes with 'aeterna-dr failover postgres'); "
                                       "Patroni replaces '{}' by itself in {}",
                                       join(finding.old->fence_group(), " and "), old,
                                       describe_remaining(*finding.world.dcs()->leader)));
    }

    void settle(engine::StepContext& step, const LossFinding& finding) const {
        const LossVerdict& verdict = finding.verdict;
        if (verdict.kind == LossKind::kRefused) return refuse_assist(step, verdict.reasons);
        if (verdict.kind == LossKind::kNotNeeded) return settle_assist(step, "not_needed", verdict.reasons);
        step.facts["prove_loss"] = Json{{"received", received_positions(finding.world, *finding.old)}};
        note_proof(parts_, finding, step);
        settle_assist(step, "proven", verdict.reasons);
        step.progress(fmt::format("'{}' is lost: {}", finding.old->name, join(verdict.reasons, "; ")));
    }

    // How far each replica had come: what only the old primary has begins at the successor's position.
    static Json received_positions(const World& world, const NodeSettings& old) {
        Json positions = Json::object();
        for (const auto& [name, of] : world.seen.nodes) {
            if (name == old.name || !of.sql.value || !of.sql.value->in_recovery) continue;
            positions[name] = std::max(of.sql.value->received, of.sql.value->lsn).value_or(0);
        }
        return positions;
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_prove_loss(StepParts parts) {
    return std::make_unique<ProveLoss>(std::move(parts));
}

}  // namespace aeterna::postgres
