#include "engine/runbook/foreign_fence.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"
#include "engine/runbook/journal.h"

namespace aeterna::engine {
namespace {

constexpr Duration kFenceLook = std::chrono::seconds(1);

bool needs_our_lock(const std::string& holder, const StepContext& step) {
    if (holder == hosts::kOperator) return true;
    return step.actor_lease && holder != step.context.run_id && holder.starts_with(std::string(kExecutionPrefix) + "-");
}

}  // namespace

Status ForeignFenceWatch::look(hosts::Executor& executor, const std::vector<std::string>& nodes, const StepContext& step,
                               MonoTime now) {
    if (now < look_at_) return {};
    look_at_ = now + kFenceLook;
    const auto markers = executor.fences(step.context);
    if (!markers) return {};
    std::vector<std::string> held, lifts;
    for (const hosts::FenceMarker& marker : *markers) {
        const bool is_of_these = std::find(nodes.begin(), nodes.end(), marker.node) != nodes.end();
        if (!is_of_these || !needs_our_lock(marker.holder, step)) continue;
        // Orphans of a dead main process serve nobody, and nothing may take its place.
        const auto vitals = executor.vitals(marker.node, step.context);
        if (!vitals || vitals->main) continue;
        held.push_back(fmt::format("'{}' is held fenced by {} ({})", marker.node, marker.holder, marker.reason));
        lifts.push_back(fmt::format("'aeterna-dr unfence {} --holder {}'", marker.node, marker.holder));
    }
    if (!held.empty())
        return make_error(ErrorCode::kAwaitingApproval, "redundancy is not restored: " + join(held, ", "),
                          "Lift that fence with " + join(lifts, " and ") + ", then resume this execution.");
    return {};
}

}  // namespace aeterna::engine
