// postgres.await_rejoin
// Does: waits until the old primary streams from the new one on its timeline. Needs: SQL or REST of
// the old node. Changes: nothing; Patroni rewinds and starts it. Undo: none. When it does not come
// back in five minutes, or is held down by somebody who waits for our end, the step ends as a proposal: redundancy is
// still missing, so this is never called done.
#include "base/strings.h"
#include "engine/runbook/foreign_fence.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/live.h"
#include "postgres/steps/steps.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kAwaitRejoinSpec{"postgres.await_rejoin",
                                            "wait until the old primary streams from the new one",
                                            engine::Risk::kReadOnly, 330s, false};

namespace {

constexpr Duration kBudget = 5min;

class AwaitRejoin final : public engine::Step {
  public:
    explicit AwaitRejoin(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env) {}

    const engine::StepSpec& spec() const override { return kAwaitRejoinSpec; }

    std::string describe() const override {
        return "wait until the old primary streams from the new one (5 min at most)";
    }

    std::string condition() const override { return "only if another node took the old primary's place"; }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        // Restarted in place, or nobody led before: nothing to come back.
        if (old.empty() || old == fact(step.facts, "new_primary"))
            return engine::CheckOutcome::kNotDue;
        const World world = live_.look(step.context, fact(step.facts, "new_primary"));
        return has_rejoined(world, old) ? engine::CheckOutcome::kAlreadyDone
                                        : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        const MonoTime until = parts_.env.clock.now() + kBudget;
        std::string told;
        while (true) {
            const World world = live_.look(step.context, fact(step.facts, "new_primary"));
            if (has_rejoined(world, old)) {
                step.facts["await_rejoin.rejoin"] = "done";
                step.progress("'" + old + "' streams again");
                return {};
            }
            const std::string line = describe_state(world, old) + describe_orphans(world, old, step.context);
            if (line != told) step.progress(line);
            told = line;
            const Status free = look_for_fence(old, step);
            if (!free || world.now >= until) {
                step.facts["await_rejoin.rejoin"] = "pending";
                return free ? propose(world, old, line) : free;
            }
            if (!live_.pause(step.context)) {
                return ended(parts_.env, step.context, "waiting for '" + old + "'");
            }
        }
    }

    Status verify(engine::StepContext& step) override {
        const std::string old = fact(step.facts, "old_primary");
        const World world = live_.look(step.context, fact(step.facts, "new_primary"));
        if (has_rejoined(world, old)) return {};
        return make_error(ErrorCode::kUnavailable, describe_state(world, old));
    }

  private:
    static bool has_rejoined(const World& world, const std::string& old) {
        const auto& sql = world.of(old).sql.value;
        if (!world.primary || !sql || !sql->in_recovery || !world.is_streaming(old)) return false;
        return world.timeline(old) && world.timeline(old) == world.timeline(*world.primary);
    }

    std::string describe_state(const World& world, const std::string& old) const {
        const NodeSettings* node = parts_.settings.find(old);
        const auto& rest = world.of(old).rest;
        const std::string agent = node ? node->agent : old;
        if (rest.answer != Answer::kNever && !rest.value) {
            return "'" + old + "' is not back: " + agent + " REST is " +
                   std::string(answer_name(rest.answer));
        }
        if (rest.value && !rest.value->is_running())
            return "'" + old + "' is '" + rest.value->state + "'";
        if (!world.is_streaming(old)) return "'" + old + "' runs but does not stream yet";
        return "'" + old + "' is not on the new timeline yet";
    }

    // What keeps a server from starting although nobody serves there.
    std::string describe_orphans(const World& world, const std::string& old, const env::Context& context) const {
        const auto& rest = world.of(old).rest;
        if (!rest.value || rest.value->is_running()) return "";
        std::vector<std::string> pids;
        for (const env::ProcessId& id : orphans_of(parts_.settings, old, parts_.env, context)) {
            pids.push_back(std::to_string(id.pid));
        }
        if (pids.empty()) return "";
        return fmt::format(": backends of its dead postmaster hold its shared memory and have to be killed (pid {})",
                           join(pids, ", "));
    }

    Status look_for_fence(const std::string& old, const engine::StepContext& step) {
        const NodeSettings* node = parts_.settings.find(old);
        if (!node) return {};
        const auto executor = executor_of(parts_.settings, old, parts_.env);
        return executor ? fences_.look(**executor, node->fence_group(), step, parts_.env.clock.now()) : Status();
    }

    Error propose(const World& world, const std::string& old, const std::string& state) const {
        const NodeSettings* node = parts_.settings.find(old);
        const std::string host = node && !node->host.empty() ? node->host : old;
        const bool agent_lives = world.of(old).rest.value != nullptr;
        const std::string proposal = agent_lives ? "look at Patroni's log on '" + host +
                                                       "' and reinitialise the member if needed"
                                                 : "start Patroni on '" + host + "'";
        return make_error(
            ErrorCode::kAwaitingApproval,
            "redundancy is not restored: " + state + "; proposed next step: " + proposal,
            "Do the proposed step, then resume this execution.");
    }

    StepParts parts_;
    Live live_;
    engine::ForeignFenceWatch fences_;
};

}  // namespace

std::unique_ptr<engine::Step> make_await_rejoin(StepParts parts) {
    return std::make_unique<AwaitRejoin>(std::move(parts));
}

}  // namespace aeterna::postgres
