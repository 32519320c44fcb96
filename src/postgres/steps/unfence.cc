// postgres.unfence
// Does: lifts this execution's fence and starts the old primary's agent, which rewinds and follows the new primary.
// Needs: one confirmed writer. Changes: markers, processes. Undo: none. Others that hold the node keep it down: that is
// told, and await_rejoin waits.
#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kUnfenceSpec{"postgres.unfence", "let the old primary come back as a replica",
                                        engine::Risk::kReversible, 60s, false};

namespace {

class Unfence final : public engine::Step {
  public:
    explicit Unfence(StepParts parts) : parts_(std::move(parts)) {}

    const engine::StepSpec& spec() const override { return kUnfenceSpec; }

    std::string describe() const override {
        return "lift the fence of the old primary and start its agent";
    }

    std::string condition() const override {
        return engine::assist_condition(parts_.assist, "this execution holds a fence");
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (!fenced_nodes(step.facts).empty()) return engine::CheckOutcome::kReady;
        return step.facts.contains("fence.confirmed") ? engine::CheckOutcome::kAlreadyDone : engine::CheckOutcome::kNotDue;
    }
    Status apply(engine::StepContext& step) override { return lift_fence(parts_, step); }
    Status verify(engine::StepContext&) override { return {}; }

  private:
    StepParts parts_;
};

}  // namespace

std::unique_ptr<engine::Step> make_unfence(StepParts parts) { return std::make_unique<Unfence>(std::move(parts)); }

}  // namespace aeterna::postgres
