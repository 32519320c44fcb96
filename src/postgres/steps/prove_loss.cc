// postgres.prove_loss
// Does: looks from several vantages (SQL, REST, etcd, the host's process table, the replicas' WAL receivers) until it
// is proven that the primary is lost, or that acting would be wrong. Needs: etcd, an executor that can fence. Changes:
// nothing. Undo: none. A refusal is no failure: it is noted, and the runbook waits for Patroni as it does without
// assist.
#include <fmt/core.h>

#include "base/strings.h"
#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kProveLossSpec{"postgres.prove_loss",
                                          "prove from several vantages that the primary is lost, or refuse to act",
                                          engine::Risk::kReadOnly, 6min, false};

namespace {

constexpr Duration kLookEvery = 100ms;

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
        if (!step.facts.contains("assist")) return engine::CheckOutcome::kReady;
        const bool is_settled = find_boolean(step.facts, "restart_agent.done").value_or(false) || is_assist(step.facts, "off");
        return is_settled ? engine::CheckOutcome::kNotDue : engine::CheckOutcome::kAlreadyDone;
    }

    Status apply(engine::StepContext& step) override {
        const NodeSettings* old = nullptr;
        std::optional<LossWatch> watch;
        std::optional<MonoTime> until;
        RefusalWatch refusals;
        std::optional<LossKind> told;
        std::optional<LossVerdict> refused;  // by the last look
        while (true) {
            const World world = live_.look(step.context, parts_.old_primary);
            if (!old) {
                old = find_old(world);
                if (!old) return refuse_unknown(step);
                step.facts["old_primary"] = old->name;
                watch.emplace(parts_, *old);
            }
            // Seen without a primary: if it is back later, that is the end of this failover, no mistake.
            if (!world.primary) step.facts["await_promotion.begun"] = true;
            const LossEvidence evidence = watch->gather(world, step.context);
            const LossVerdict verdict = judge_loss(world, *old, evidence);
            const bool stands = refusals.stands(verdict, world.now);
            const bool is_open = verdict.kind == LossKind::kWait || (verdict.kind == LossKind::kRefused && !stands);
            if (!is_open) return settle(step, world, *old, was_refused(world, *old, verdict, refused) ? *refused : verdict);
            if (verdict.kind == LossKind::kRefused) refused = verdict;
            else refused.reset();
            // Only what is new: ages and times move all the while.
            const bool is_refused = verdict.kind == LossKind::kRefused;
            if (told != verdict.kind) {
                step.progress((is_refused ? "not allowed now: " : "not proven yet: ") + join(verdict.reasons, "; "));
            }
            told = verdict.kind;
            if (!until) until = world.now + time_of(world.config());
            if (world.now >= *until) return give_up(step, verdict.reasons);
            if (!parts_.env.clock.sleep_for(kLookEvery, step.context.stop))
                return ended(parts_.env, step.context, "proving the loss of '" + old->name + "'");
        }
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    const NodeSettings* find_old(const World& world) const {
        if (const NodeSettings* node = parts_.settings.find(parts_.old_primary)) return node;
        return parts_.settings.find(world.primary.value_or(world.reference));
    }

    // Patroni's own time has run out on a refusal: that is what happened, not that nothing was needed.
    static bool was_refused(const World& world, const NodeSettings& old, const LossVerdict& verdict,
                            const std::optional<LossVerdict>& refused) {
        return refused && verdict.kind == LossKind::kNotNeeded && world.primary != old.name;
    }

    static Status refuse_unknown(engine::StepContext& step) {
        refuse_assist(step, {"nobody knows which node was the primary"});
        return {};
    }

    static Status give_up(engine::StepContext& step, std::vector<std::string> reasons) {
        reasons.insert(reasons.begin(), "it could not be done in time");
        refuse_assist(step, reasons);
        return {};
    }

    // As long as Patroni itself may take: the lease, or its tries to start the server in place.
    static Duration time_of(const PatroniConfig& config) {
        return std::chrono::seconds(std::min<std::int64_t>(300, config.primary_start_timeout + config.ttl));
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
        const bool may_act = parts_.assist == "act";
        settle_assist(step, may_act ? "proven" : "proposed", verdict.reasons);
        step.progress(fmt::format("'{}' is lost: {}", old.name, join(verdict.reasons, "; ")));
        if (!may_act) {
            step.progress(fmt::format("proposal: fence {} and release its lease (run 'aeterna-dr failover postgres'); "
                                      "Patroni does so by itself in {} s",
                                      join(old.fence_group(), " and "), leader.remaining_seconds.value_or(0)));
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
