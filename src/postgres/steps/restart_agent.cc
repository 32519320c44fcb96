// postgres.restart_agent
// Does: where the primary takes writes but its agent is dead, starts the agent again: it adopts the running server and
// renews the lease; nobody notices. Needs: the host's word that the agent is gone, and its start command. Changes: that
// process. Undo: none. If it does not come back, the lease runs out and another node is promoted beside the living
// primary: prove_loss then stops it in time.
#include <fmt/core.h>

#include "postgres/steps/assist.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kRestartAgentSpec{"postgres.restart_agent",
                                             "start the dead agent of a living primary before its lease ends",
                                             engine::Risk::kReversible, 30s, false};

namespace {

constexpr Duration kComeBackTime = 8s;

class RestartAgent final : public engine::Step {
  public:
    explicit RestartAgent(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kRestartAgentSpec; }

    std::string describe() const override {
        return "start the primary's agent again, if only the agent is dead";
    }

    std::string condition() const override {
        if (parts_.assist != config::Assist::kAct) return "only with assist 'act'";
        return "only if the primary takes writes and its agent is dead";
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        if (parts_.assist != config::Assist::kAct) return engine::CheckOutcome::kNotDue;
        if (find_boolean(step.facts, "restart_agent.done").value_or(false)) return engine::CheckOutcome::kAlreadyDone;
        const World world = live_.look(step.context, parts_.old_primary);
        const NodeSettings* node = orphan(world, step.context);
        return node ? engine::CheckOutcome::kReady : engine::CheckOutcome::kNotDue;
    }

    Status apply(engine::StepContext& step) override {
        const MonoTime until = parts_.env.clock.now() + kComeBackTime;
        World world = live_.look(step.context, parts_.old_primary);
        const NodeSettings* node = orphan(world, step.context);
        if (!node) return {};
        AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, node->agent, parts_.env));
        step.progress(fmt::format("'{}' takes writes, but '{}' is dead: starting it", node->name, node->agent));
        const Status started = executor->start(node->agent, step.context);
        if (!started) step.progress("it could not be started: " + started.error().to_string());
        while (started && parts_.env.clock.now() < until) {
            world = live_.look(step.context, node->name);
            if (world.of(node->name).rest.value && world.primary == node->name) {
                step.facts["old_primary"] = node->name;
                settle_assist(step, "not_needed", {"'" + node->agent + "' was started again"});
                step.facts["restart_agent.done"] = true;
                step.progress(fmt::format("'{}' is back, '{}' stays primary", node->agent, node->name));
                return {};
            }
            if (!parts_.env.clock.sleep_for(250ms, step.context.stop)) break;
        }
        return {};
    }

    Status verify(engine::StepContext&) override { return {}; }

  private:
    // The primary whose agent alone is dead; nullptr when there is none.
    const NodeSettings* orphan(const World& world, const env::Context& context) const {
        // Who paused the cluster may have stopped the agent on purpose.
        if (!world.primary || world.config().paused) return nullptr;
        const NodeSettings* node = parts_.settings.find(*world.primary);
        if (!node || world.of(node->name).rest.answer != Answer::kRefused) return nullptr;
        const auto executor = executor_of(parts_.settings, node->agent, parts_.env);
        if (!executor) return nullptr;
        const auto vitals = (*executor)->vitals(node->agent, context);
        return vitals && vitals->is_gone() ? node : nullptr;
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_restart_agent(StepParts parts) {
    return std::make_unique<RestartAgent>(std::move(parts));
}

}  // namespace aeterna::postgres
