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
                                            engine::Risk::kDisruptive, 120s, true};

namespace {

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
        const World world = live_.look(step.context);
        // Hours may have passed since the check.
        if (world.primary && *world.primary != parts_.candidate) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' takes writes by now, not '{}'", *world.primary, parts_.candidate),
                              "Begin the restore anew.");
        }
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
        AETERNA_ASSIGN(const bool is_down, is_all_down(step.context));
        const World world = live_.look(step.context);
        for (const NodeSettings& node : parts_.settings.nodes) {
            const NodeObservations& of = world.of(node.name);
            if (is_down && !of.sql.value && !of.rest.value) continue;
            return make_error(ErrorCode::kServer,
                              fmt::format("'{}' answers, or something of it runs, in spite of its fence", node.name));
        }
        return {};
    }

    Status undo(engine::StepContext& step) override {
        AETERNA_ASSIGN(const InPlace place, in_place(step.facts));
        if (!parts_.env.files.exists(place.data)) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' is not there: nothing is started without it", place.data),
                              fmt::format("Rename '{}' back to it.", place.kept));
        }
        step.facts.erase("restore.stopped");
        std::vector<const NodeSettings*> order = fence_order(parts_);
        for (auto node = order.rbegin(); node != order.rend(); ++node)
            AETERNA_TRY(let_start(parts_, **node, step.context));
        return {};
    }

  private:
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
