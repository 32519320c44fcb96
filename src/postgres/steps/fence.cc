// postgres.fence
// Does: kills the agent and the server of the lost primary through their host and keeps them from being started, then
// looks from here: both ports must refuse. Needs: prove_loss has proven it in this execution. Changes: those processes.
// Undo: lifts the fence and starts the node again. A fence that cannot be confirmed is none: its markers stay until
// somebody leads again, nothing is released, and Patroni's own time is waited for. One that came too late, or met somebody
// whom nobody had looked at, kills nothing: the loss is proven anew, or the markers go at once. Unknown outcome: repeating it
// is safe.
#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/steps/await_loss.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kFenceSpec{"postgres.fence", "make sure that the lost primary cannot accept writes",
                                      engine::Risk::kDisruptive, 40s, true};

namespace {

constexpr Duration kFenceTime = 5s;
constexpr Duration kProveAgain = 20s;
constexpr int kMostLooks = 3;

class Fence final : public engine::Step {
  public:
    explicit Fence(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kFenceSpec; }

    std::string describe() const override {
        return "fence the lost primary: kill its agent and its server, keep both from being started";
    }

    std::string condition() const override {
        return engine::assist_condition(parts_.assist, "the primary is proven lost");
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (step.facts.contains("fence.confirmed")) return engine::CheckOutcome::kAlreadyDone;
        return is_assist(step.facts, "proven") ? engine::CheckOutcome::kReady : engine::CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const NodeSettings* old = parts_.settings.find(fact(step.facts, "old_primary"));
        if (!old) return make_error(ErrorCode::kInternal, "the old primary is not known");
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, old->name, parts_.env));
        const std::vector<std::string> nodes = old->fence_group();
        const bool was_held = holds_markers(*executor, step);
        Status fenced;
        bool is_spared = false;
        // Too late, or started again after the look: it is looked at once more. Its markers lie there by now.
        for (int looks = 0; looks < kMostLooks; ++looks) {
            std::optional<LossProof> proof = looks == 0 ? fresh_proof(parts_, step) : std::nullopt;
            if (!proof) {
                auto anew = prove_again(step, *old, *executor, is_spared && !was_held);
                if (!anew) return held_behind(std::move(anew).error(), *executor, step);
                proof = std::move(*anew);
            }
            if (!proof) return {};
            step.facts["fenced"] = nodes;
            const hosts::FenceOrder order{nodes, step.context.run_id, "primary lost, failover of postgres under way",
                                          proof->holds_until, std::move(proof->ran)};
            fenced = executor->fence(order, parts_.env.clock.within(kFenceTime, step.context));
            is_spared = !fenced && fenced.error().effect == Effect::kPartial &&
                        (fenced.error().code == ErrorCode::kGuardRefused || fenced.error().code == ErrorCode::kDeadline);
            if (!is_spared) break;
            step.progress("not fenced: " + fenced.error().message);
        }
        if (!fenced) {
            if (!holds_markers(*executor, step)) step.facts.erase("fenced");
            refuse_assist(step, {"the fence was not confirmed: " + fenced.error().to_string()});
            return is_spared && !was_held ? let_go(step, live_.look(step.context, old->name)) : Status();
        }
        return confirm_from_here(step, *old);
    }

    Status verify(engine::StepContext&) override { return {}; }

    Status undo(engine::StepContext& step) override {
        const NodeSettings* old = parts_.settings.find(fact(step.facts, "old_primary"));
        // Killed while it fenced: only the markers say so.
        if (old && fenced_nodes(step.facts).empty()) {
            const auto executor = executor_of(parts_.settings, old->name, parts_.env);
            if (executor) remember_fence(step, *old, **executor);
        }
        return lift_fence(parts_, step);
    }

  private:
    // Whoever died or stood still after the proof looks again: the node may have recovered, or lead no more. Nothing where
    // it is not proven any more: that is noted, and what this life has marked without killing anything is let go.
    Result<std::optional<LossProof>> prove_again(engine::StepContext& step, const NodeSettings& old,
                                                 hosts::Executor& executor, bool lets_go) {
        step.progress("the proof is old: looking again");
        AETERNA_ASSIGN(const LossFinding finding, await_loss(parts_, live_, old.name, step, kProveAgain));
        if (finding.verdict.kind == LossKind::kLost) {
            note_proof(parts_, finding, step);
            return std::optional(proof_of(finding));
        }
        remember_fence(step, old, executor);
        std::vector<std::string> reasons = finding.verdict.reasons;
        reasons.insert(reasons.begin(), "the loss is not proven any more");
        refuse_assist(step, reasons);
        if (lets_go) AETERNA_TRY(let_go(step, finding.world));
        return std::optional<LossProof>();
    }

    // Its supervisor may have tried to start it in vain. In a paused cluster nobody but a person starts an agent.
    Status let_go(engine::StepContext& step, const World& world) const {
        return lift_fence(parts_, step, world.dcs() && !world.dcs()->config.paused);
    }

    // What ends the step behind its own markers is not without effect: the runner takes the step back.
    static Error held_behind(Error error, hosts::Executor& executor, const engine::StepContext& step) {
        if (holds_markers(executor, step)) error.effect = Effect::kPartial;
        return error;
    }

    // Also where the host does not tell.
    static bool holds_markers(hosts::Executor& executor, const engine::StepContext& step) {
        const auto markers = executor.fences(step.context);
        return !markers || std::any_of(markers->begin(), markers->end(),
                                       [&](const auto& marker) { return marker.holder == step.context.run_id; });
    }

    // What a former life of this execution has fenced is this one's to lift.
    static void remember_fence(engine::StepContext& step, const NodeSettings& old, hosts::Executor& executor) {
        if (holds_markers(executor, step)) step.facts["fenced"] = old.fence_group();
    }

    // The second vantage: what the process table says must show on the network.
    Status confirm_from_here(engine::StepContext& step, const NodeSettings& old) {
        const World world = live_.look(step.context, old.name);
        const NodeObservations& of = world.of(old.name);
        const bool refuses = of.sql.answer == Answer::kRefused && of.rest.answer == Answer::kRefused;
        if (!refuses) {
            refuse_assist(step, {"the fence does not show from here",
                                 describe_look(world, old.name + " SQL", of.sql),
                                 describe_look(world, old.agent + " REST", of.rest)});
            return {};
        }
        // From here on nobody can renew the lease: what the key says now must still be so when it is released. An
        // agent that lived until the fence may have renewed it after the proof.
        if (world.dcs() && world.dcs()->leader) {
            const LeaderKey& leader = *world.dcs()->leader;
            step.facts["fence.leader"] = Json{{"member", leader.member}, {"lease", leader.lease}};
            if (leader.remaining_seconds) step.facts["fence.leader"]["remaining_seconds"] = *leader.remaining_seconds;
        }
        step.facts["fence.confirmed"] = true;
        step.progress(fmt::format("{} are fenced: nothing of them runs, both ports refuse",
                                  join(old.fence_group(), " and ")));
        return {};
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_fence(StepParts parts) { return std::make_unique<Fence>(std::move(parts)); }

}  // namespace aeterna::postgres
