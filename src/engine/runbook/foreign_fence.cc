#include "engine/runbook/foreign_fence.h"

#include <fmt/core.h>

#include <algorithm>

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
    for (const hosts::FenceMarker& marker : *markers) {
        const bool is_of_these = std::find(nodes.begin(), nodes.end(), marker.node) != nodes.end();
        if (!is_of_these || !needs_our_lock(marker.holder, step)) continue;
        const auto vitals = executor.vitals(marker.node, step.context);
        if (!vitals || !vitals->is_gone()) continue;
        return make_error(ErrorCode::kAwaitingApproval,
                          fmt::format("redundancy is not restored: '{}' is held fenced by {} ({})", marker.node, marker.holder,
                                      marker.reason),
                          fmt::format("Lift that fence with 'aeterna-dr unfence {} --holder {}', then resume this execution.",
                                      marker.node, marker.holder));
    }
    return {};
}

}  // namespace aeterna::engine
