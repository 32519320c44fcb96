#include "engine/runbook/foreign_fence.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/runbook/journal.h"

namespace aeterna::engine {

std::optional<std::string> find_foreign_fence(hosts::Executor& executor, const std::vector<std::string>& nodes,
                                              const std::string& own, const env::Context& context) {
    const auto markers = executor.fences(context);
    if (!markers) return std::nullopt;
    const auto found = std::find_if(markers->begin(), markers->end(), [&](const hosts::FenceMarker& marker) {
        const bool is_execution = marker.holder.starts_with(std::string(kExecutionPrefix) + "-");
        const bool needs_lock = is_execution || marker.holder == hosts::kOperator;
        return needs_lock && marker.holder != own && std::find(nodes.begin(), nodes.end(), marker.node) != nodes.end();
    });
    if (found == markers->end()) return std::nullopt;
    return fmt::format("'{}' is held fenced by {} ({})", found->node, found->holder, found->reason);
}

}  // namespace aeterna::engine
