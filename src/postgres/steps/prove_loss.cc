// postgres.prove_loss
// Does: looks from several vantages (SQL, REST, etcd, the host's process table, the replicas' WAL receivers) until it
// is proven that the primary is lost, or that acting would be wrong. Needs: etcd, an executor that can fence. Changes:
// nothing. Undo: none. A refusal is no failure: it is noted, and the runbook waits for Patroni as it does without
// assist.
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
        if (parts_.assist == "off") return "only with assist 'propose' or 'act'";
        return "only if its agent could not simply be started again";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (parts_.assist == "off" && !step.facts.contains("assist")) step.facts["assist"] = "off";
        if (!step.facts.contains("assist")) return check_candidate(step);
        const bool is_settled = find_boolean(step.facts, "restart_agent.done").value_or(false) || is_assist(step.facts, "off");
        return is_settled ? engine::CheckOutcome::kNotDue : engine::CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_ASSIGN(const LossFinding finding, await_loss(parts_, live_, parts_.old_primary, step, Duration::zero()));
        if (!finding.old) {
            refuse_assist(step, {"nobody knows which node was the primary"});
            return {};
        }
        return settle(step, finding.world, *finding.old, finding.verdict);
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

    Status settle(engine::StepContext& step, const World& world, const NodeSettings& old,
                  const LossVerdict& verdict) const {
        if (verdict.kind == LossKind::kRefused) {
            refuse_assist(step, verdict.reasons);
            return {};
        }
        if (verdict.kind == LossKind::kNotNeeded) {
            settle_assist(step, "not_needed", verdict.reasons);
            return {};
        }
        const LeaderKey& leader = *world.dcs()->leader;
        step.facts["prove_loss"] = Json{{"received", received_positions(world, old)}};
        note_proof(parts_, step);
        const bool may_act = parts_.assist == "act";
        settle_assist(step, may_act ? "proven" : "proposed", verdict.reasons);
        step.progress(fmt::format("'{}' is lost: {}", old.name, join(verdict.reasons, "; ")));
        if (!may_act) {
            step.progress(fmt::format("proposal: fence {} and release its lease (run 'aeterna-dr failover postgres'); "
                                      "Patroni does so by itself in {}",
                                      join(old.fence_group(), " and "), describe_remaining(leader)));
        }
        return {};
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
