// postgres.check_switchover
// Does: looks whether a planned switchover can lose nothing now, and chooses the candidate when
// none was named. Needs: etcd, REST, SQL. Changes: nothing. Undo: none.
#include "base/strings.h"
#include "postgres/steps/live.h"
#include "postgres/steps/steps.h"
#include "postgres/steps/switchover_guard.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kCheckSwitchoverSpec{
    "postgres.check_switchover", "check that a switchover can lose nothing, choose the candidate",
    engine::Risk::kReadOnly, 15s, false};

namespace {

class CheckSwitchover final : public engine::Step {
  public:
    explicit CheckSwitchover(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kCheckSwitchoverSpec; }

    std::string describe() const override {
        return parts_.candidate.empty()
                   ? "check the cluster and choose the best candidate"
                   : "check that '" + parts_.candidate + "' can take over without loss";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const World world = live_.look(step.context);
        const std::string candidate =
            parts_.candidate.empty() ? choose_candidate(world) : parts_.candidate;
        const auto hindrances = switchover_hindrances(world, candidate);
        if (!hindrances.empty()) {
            return make_error(ErrorCode::kGuardRefused,
                              "a switchover now is not safe: " + join(hindrances, "; "),
                              "Correct what is named, or use failover when the primary is down.");
        }
        step.facts["old_primary"] = *world.primary;
        step.facts["candidate"] = candidate;
        return engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        step.progress("'" + fact(step.facts, "old_primary") + "' hands over to '" +
                      fact(step.facts, "candidate") + "'");
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_check_switchover(StepParts parts) {
    return std::make_unique<CheckSwitchover>(std::move(parts));
}

}  // namespace aeterna::postgres
