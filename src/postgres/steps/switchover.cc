// postgres.switchover
// Does: asks the leader's Patroni to hand over to the candidate. Patroni stops the old primary
// cleanly and waits for the candidate to have its last record, so nothing acknowledged is lost.
// Needs: what check_switchover saw, seen again. Changes: who is primary. Undo: none (a switchover
// back is a new one). Unknown outcome: Patroni's answer may be lost or say "status unknown"; verify
// reads the leader key and SQL until they tell, it never asks again. After a crash check waits for
// what Patroni still has to carry out.
#include "base/strings.h"
#include "postgres/client/patroni.h"
#include "postgres/steps/live.h"
#include "postgres/steps/steps.h"
#include "postgres/steps/switchover_guard.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kSwitchoverSpec{"postgres.switchover",
                                           "hand the primary's role over through Patroni",
                                           engine::Risk::kDisruptive, 100s, false};

namespace {

class Switchover final : public engine::Step {
  public:
    explicit Switchover(StepParts parts)
        : parts_(std::move(parts)),
          live_(parts_.settings, parts_.env),
          patroni_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kSwitchoverSpec; }

    std::string describe() const override {
        return "make '" +
               (parts_.candidate.empty() ? std::string("the best replica") : parts_.candidate) +
               "' the primary; writes pause for a few seconds";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const std::string candidate = fact(step.facts, "candidate");
        if (candidate.empty()) return make_error(ErrorCode::kUsage, "no candidate was chosen");
        while (true) {
            const World world = live_.look(step.context);
            if (is_done(world, candidate)) {
                step.facts["new_primary"] = candidate;
                return engine::CheckOutcome::kAlreadyDone;
            }
            // What we asked for before we were cut off.
            if (is_under_way(world, candidate) && live_.pause(step.context)) continue;
            const auto hindrances = switchover_hindrances(world, candidate);
            if (hindrances.empty()) return engine::CheckOutcome::kReady;
            return make_error(ErrorCode::kGuardRefused,
                              "a switchover now is not safe: " + join(hindrances, "; "));
        }
    }

    Status apply(engine::StepContext& step) override {
        const NodeSettings* old = parts_.settings.find(fact(step.facts, "old_primary"));
        const NodeSettings* candidate = parts_.settings.find(fact(step.facts, "candidate"));
        if (!old || !candidate)
            return make_error(ErrorCode::kNotFound,
                              "the nodes of this switchover are not configured");
        const env::Context bounded = parts_.env.clock.within(Patroni::kActionTimeout, step.context);
        AETERNA_ASSIGN(ActionReply reply,
                       patroni_.switchover(*old, old->member, candidate->member, bounded));
        if (!reply.text.empty()) step.progress("patroni: " + reply.text);
        switch (reply.outcome) {
            case ActionOutcome::kDone: return {};
            case ActionOutcome::kImpossible:
                return make_error(ErrorCode::kServer,
                                  "patroni refused the switchover: " + reply.text);
            case ActionOutcome::kScheduled:
            case ActionOutcome::kUnknown: break;
        }
        return make_error(ErrorCode::kUnknownOutcome,
                          "patroni did not say how the switchover ended: " + reply.text, "",
                          Effect::kUnknown);
    }

    // The key and the server must agree. A pending failover key means that it may still happen.
    Status verify(engine::StepContext& step) override {
        const std::string candidate = fact(step.facts, "candidate");
        const MonoTime begun = parts_.env.clock.now();
        while (true) {
            const World world = live_.look(step.context, fact(step.facts, "old_primary"));
            if (is_done(world, candidate)) {
                step.facts["new_primary"] = candidate;
                return {};
            }
            const bool pending = !world.dcs() || world.dcs()->failover || !world.primary;
            const bool settled =
                !pending && world.now - begun > 15s && world.key_holder == *world.primary;
            if (settled) {
                return make_error(
                    ErrorCode::kServer,
                    "'" + *world.primary + "' is the primary, not '" + candidate + "'");
            }
            if (!live_.pause(step.context))
                return ended(parts_.env, step.context, "re-reading who leads");
        }
    }

  private:
    static bool is_done(const World& world, const std::string& candidate) {
        if (world.primary != candidate) return false;
        return !world.settings->etcd || world.key_holder == candidate;
    }

    // Patroni has been asked for this very handover, or the candidate has the key and is not promoted yet.
    static bool is_under_way(const World& world, const std::string& candidate) {
        const NodeSettings* node = world.settings->find(candidate);
        const DcsView* dcs = world.dcs();
        if (!node || !dcs) return false;
        const bool is_asked_for = dcs->failover && dcs->failover->scheduled_at.empty() &&
                                  dcs->failover->candidate == node->member;
        return is_asked_for || world.key_holder == candidate;
    }

    StepParts parts_;
    Live live_;
    Patroni patroni_;
};

}  // namespace

std::unique_ptr<engine::Step> make_switchover(StepParts parts) {
    return std::make_unique<Switchover>(std::move(parts));
}

}  // namespace aeterna::postgres
