// postgres.hand_over
// Does: gives the restored directory to Patroni: lifts the member's fence, starts its agent and waits until it leads.
// Needs: every other member held down by this execution, clear_keys. Changes: from the start of the agent on,
// applications may write. Undo: none; the old data is kept. Unknown outcome: who leads is read again; repeating it is safe.
//
// Patroni 3.0.2 promotes once more: its timeline is the second one behind the target.
#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kHandOverSpec{"postgres.hand_over",
                                         "give the restored member to Patroni, and wait until it leads",
                                         engine::Risk::kDisruptive,
                                         360s,
                                         false,
                                         true};

namespace {

class HandOver final : public engine::Step {
  public:
    explicit HandOver(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kHandOverSpec; }

    std::string describe() const override {
        return fmt::format(
            "start '{}' and wait until it leads; from then on nothing is taken back",
            parts_.candidate);
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (!step.facts.contains("restore.stopped")) return engine::CheckOutcome::kReady;
        AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, member(), step.context));
        return !is_down && leads(look(step.context), parts_) ? engine::CheckOutcome::kAlreadyDone
                                                             : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, member(), step.context));
        // Else it was let go in a former life of this execution.
        if (is_down) AETERNA_TRY(require_all_held_down(parts_, step.context));
        const Status started = let_start(parts_, member(), step.context);
        if (!started) return after(started.error());
        step.progress(fmt::format("'{}' is unfenced and was started", member().agent));
        return await_leader(step);
    }

    Status verify(engine::StepContext& step) override {
        if (leads(look(step.context), parts_)) return {};
        return make_error(ErrorCode::kTimeout, fmt::format("'{}' does not lead yet", parts_.candidate),
                          "Look at its log and at Patroni's.");
    }

  private:
    [[nodiscard]] const NodeSettings& member() const { return *parts_.settings.find(parts_.candidate); }

    static Error after(Error error) {
        error.effect = Effect::kUnknown;
        return error;
    }

    [[nodiscard]] World look(const env::Context& context) { return live_.look(context, parts_.candidate); }

    Status await_leader(engine::StepContext& step) {
        std::string told;
        for (World world = look(step.context); !leads(world, parts_); world = look(step.context)) {
            const auto& rest = world.of(parts_.candidate).rest;
            const std::string line =
                rest.value
                    ? fmt::format("'{}' is '{}', role '{}'", parts_.candidate, rest.value->state, rest.value->role)
                    : fmt::format("'{}' REST is {}", member().agent, answer_name(rest.answer));
            if (line != told) step.progress(line);
            told = line;
            if (!live_.pause(step.context))
                return after(ended(parts_.env, step.context, "waiting for '" + parts_.candidate + "' to lead"));
        }
        step.facts["new_primary"] = parts_.candidate;
        step.progress(fmt::format("'{}' leads", parts_.candidate));
        return {};
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_hand_over(StepParts parts) { return std::make_unique<HandOver>(std::move(parts)); }

}  // namespace aeterna::postgres
