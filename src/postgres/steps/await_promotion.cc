// postgres.await_promotion
// Does: waits for Patroni to promote a node, and says each second why it has not yet. Patroni acts
// first; we never promote here. Needs: etcd and REST to explain, SQL to see the new primary.
// Changes: nothing. Undo: none. At the end of the budget (what remains of the lost leader's lease +
// 60 s) it ends as a proposal for a person.
#include <fmt/core.h>

#include "base/strings.h"
#include "postgres/detect/explain_stuck.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/live.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kAwaitPromotionSpec{
    "postgres.await_promotion",
    "wait until Patroni has promoted a node, explaining what hinders it", engine::Risk::kReadOnly,
    4min, false};

namespace {

constexpr Duration kBeyondLease = 60s;

class AwaitPromotion final : public engine::Step {
  public:
    explicit AwaitPromotion(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kAwaitPromotionSpec; }

    std::string describe() const override {
        return "wait until Patroni has promoted a node of '" + parts_.settings.scope +
               "' (lease + 60 s at most)";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (find_boolean(step.facts, "restart_agent.done").value_or(false)) {
            remember(step, old_primary(step.facts));
            return engine::CheckOutcome::kAlreadyDone;
        }
        const World world = live_.look(step.context, old_primary(step.facts));
        const std::string old =
            world.primary && old_primary(step.facts).empty() ? *world.primary : world.reference;
        if (old_primary(step.facts).empty()) step.facts["old_primary"] = old;
        const std::string lost = old_primary(step.facts);
        if (world.primary) {
            const bool begun = find_boolean(step.facts, "await_promotion.begun").value_or(false);
            if (*world.primary == lost && !begun) {
                return make_error(ErrorCode::kGuardRefused,
                                  "the primary '" + lost + "' is up and accepts writes",
                                  "Use 'switchover postgres' to move the primary on purpose.");
            }
            remember(step, *world.primary);
            return engine::CheckOutcome::kAlreadyDone;
        }
        if (world.cut_off()) {
            return make_error(ErrorCode::kUnavailable,
                              "no node answers from here, but the lease of '" + world.key_holder +
                                  "' runs on: whether it is lost cannot be judged",
                              "Look at the way from here to the servers first.");
        }
        const auto& sql = world.of(world.reference).sql;
        if (sql.answer == Answer::kRejected) {
            return make_error(
                ErrorCode::kUnavailable,
                "it cannot be judged whether '" + world.reference + "' is down: " + sql.error,
                "Correct user and password of the stack file first.");
        }
        step.facts["await_promotion.begun"] = true;
        return engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        std::optional<MonoTime> until;
        std::string told;
        while (true) {
            const World world = live_.look(step.context, old_primary(step.facts));
            if (world.primary) {
                remember(step, *world.primary);
                step.progress("'" + *world.primary + "' accepts writes");
                return {};
            }
            if (!until) until = world.now + lease_left(world) + kBeyondLease;
            const std::string why = join(explain_stuck(world), "; ");
            if (why != told)
                step.progress(why.empty() ? "no new primary yet" : "no new primary yet: " + why);
            told = why;
            if (world.now >= *until) {
                // Nobody else can lead, so the old primary may have to: a fence would only keep it from that.
                if (const Status lifted = lift_fence(parts_, step); !lifted)
                    step.progress("the fence stays: " + lifted.error().to_string());
                return propose(world, why);
            }
            if (!live_.pause(step.context))
                return ended(parts_.env, step.context, "waiting for a promotion");
        }
    }

    Status verify(engine::StepContext& step) override {
        const World world = live_.look(step.context, old_primary(step.facts));
        if (world.primary) return {};
        return make_error(ErrorCode::kUnavailable, "no node accepts writes");
    }

  private:
    static Duration lease_left(const World& world) {
        const DcsView* dcs = world.dcs();
        if (!dcs || !dcs->leader) return Duration::zero();
        // What could not be read may be the whole of it.
        return std::chrono::seconds(
            std::max<std::int64_t>(0, dcs->leader->remaining_seconds.value_or(dcs->config.ttl)));
    }

    static Error propose(const World& world, const std::string& why) {
        return make_error(ErrorCode::kAwaitingApproval,
                          "no node was promoted in time (" +
                              (why.empty() ? "no hindrance is visible" : why) +
                              "); proposed next step: " + propose_next_step(world),
                          "Do the proposed step, then resume this execution.");
    }

    std::string old_primary(const Json& facts) const {
        return parts_.old_primary.empty() ? fact(facts, "old_primary") : parts_.old_primary;
    }

    void remember(engine::StepContext& step, const std::string& primary) const {
        step.facts["old_primary"] = old_primary(step.facts);
        step.facts["new_primary"] = primary;
        step.facts["await_promotion.restarted_in_place"] = primary == old_primary(step.facts);
        if (!parts_.candidate.empty() && primary != parts_.candidate)
            step.progress("'" + primary + "' leads, not '" + parts_.candidate + "'");
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_await_promotion(StepParts parts) {
    return std::make_unique<AwaitPromotion>(std::move(parts));
}

}  // namespace aeterna::postgres
