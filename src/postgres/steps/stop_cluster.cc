// postgres.stop_cluster
// Does: fences every member, the one that is restored last: until then it takes writes and keeps its lease, so that
// nobody is promoted in its place. Needs: a proven restored directory. Changes: all members stop. Undo: they are let
// start again, that one first. Unknown outcome: the markers stay; repeating it is safe.
#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/steps/assist.h"
#include "postgres/steps/in_place.h"

namespace aeterna::postgres {

constexpr engine::StepSpec kStopClusterSpec{"postgres.stop_cluster",
                                            "stop all members and keep them from being started",
                                            engine::Risk::kDisruptive, 30min, true};

namespace {

constexpr int kLooks = 10;

class StopCluster final : public engine::Step {
  public:
    explicit StopCluster(StepParts parts)
        : parts_(std::move(parts)), live_(parts_.settings, parts_.env, Live::Scope::kNodes) {}

    const engine::StepSpec& spec() const override { return kStopClusterSpec; }

    std::string describe() const override {
        std::vector<std::string> names;
        for (const NodeSettings* node : fence_order(parts_)) names.push_back(node->name);
        return fmt::format("fence {}, agents and servers: applications can no longer write or read",
                           join(names, ", then "));
    }

    Result<engine::CheckOutcome> check(engine::StepContext& step) override {
        AETERNA_ASSIGN(const bool is_down, is_all_down(step.context));
        if (is_down) step.facts["restore.stopped"] = true;
        return is_down ? engine::CheckOutcome::kAlreadyDone : engine::CheckOutcome::kReady;
    }

    Status apply(engine::StepContext& step) override {
        AETERNA_TRY(check_primary(step));
        for (const NodeSettings* node : fence_order(parts_)) {
            AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, *node, step.context));
            if (is_down) continue;
            AETERNA_ASSIGN(const auto executor, executor_of(parts_.settings, node->name, parts_.env));
            AETERNA_TRY(executor->fence({node->fence_group(), step.context.run_id, "restore of postgres in place"},
                                        step.context));
            step.progress(fmt::format("{} are held down", join(node->fence_group(), " and ")));
        }
        step.facts["restore.stopped"] = true;
        return {};
    }

    // The second vantage: what the process tables say must show on the network.
    Status verify(engine::StepContext& step) override {
        const World world = live_.look(step.context);
        for (const NodeSettings& node : parts_.settings.nodes) {
            AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, node, step.context));
            const NodeObservations& of = world.of(node.name);
            if (is_down && !of.sql.value && !of.rest.value) continue;
            return make_error(ErrorCode::kServer,
                              fmt::format("'{}' answers, or something of it runs, in spite of its fence", node.name));
        }
        return {};
    }

    // The old primary alone has the last commits: until it leads again, nobody else may be there to be promoted.
    Status undo(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (!parts_.env.files.exists(place.data) || parts_.env.files.exists(place.kept)) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' is not the old data: nothing is started on it", place.data),
                              fmt::format("Rename '{}' back to it, then resume this execution.", place.kept));
        }
        std::vector<const NodeSettings*> order = fence_order(parts_);
        for (auto node = order.rbegin(); node != order.rend(); ++node) {
            AETERNA_TRY(let_start(parts_, **node, step.context));
            if (node == order.rbegin() && had_primary(step)) AETERNA_TRY(await_lead(step));
        }
        step.facts.erase("restore.stopped");
        return {};
    }

  private:
    static bool had_primary(const engine::StepContext& step) {
        return find_boolean(step.facts, "restore.had_primary").value_or(true);
    }

    Status await_lead(engine::StepContext& step) {
        while (!leads(live_.look(step.context, parts_.candidate), parts_)) {
            if (live_.pause(step.context)) continue;
            return make_error(ErrorCode::kTimeout, fmt::format("'{}' does not lead again: the others stay held down", parts_.candidate),
                              "Look at its log and at Patroni's, then resume this execution.", Effect::kPartial);
        }
        step.progress(fmt::format("'{}' leads again", parts_.candidate));
        return {};
    }

    // Hours may have passed since the check. One look that shows no primary proves nothing.
    Status check_primary(engine::StepContext& step) {
        const auto begun = find_integer(step.facts, "restore.replayed");
        for (int look = 0;; ++look) {
            const World world = live_.look(step.context, parts_.candidate);
            const auto timeline = world.timeline(parts_.candidate);
            if (timeline && begun && *timeline >= *begun) {
                return make_error(ErrorCode::kGuardRefused,
                                  fmt::format("the cluster has begun timeline {} meanwhile, the number of the restored one", *timeline),
                                  "Begin the restore anew.");
            }
            if (world.primary == parts_.candidate || (!world.primary && !had_primary(step))) return {};
            if (world.primary) {
                return make_error(ErrorCode::kGuardRefused,
                                  fmt::format("'{}' takes writes by now, not '{}'", *world.primary, parts_.candidate),
                                  "Begin the restore anew.");
            }
            if (look == kLooks || !live_.pause(step.context)) break;
        }
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("'{}' took writes when this began, and who does now is not seen", parts_.candidate),
                          "Bring the cluster into order, then begin the restore anew.");
    }

    Result<bool> is_all_down(const env::Context& context) const {
        for (const NodeSettings& node : parts_.settings.nodes) {
            AETERNA_ASSIGN(const bool is_down, is_held_down(parts_, node, context));
            if (!is_down) return false;
        }
        return true;
    }

    StepParts parts_;
    Live live_;
};

}  // namespace

std::unique_ptr<engine::Step> make_stop_cluster(StepParts parts) {
    return std::make_unique<StopCluster>(std::move(parts));
}

}  // namespace aeterna::postgres
