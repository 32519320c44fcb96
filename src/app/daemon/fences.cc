#include "app/daemon/fences.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "engine/runbook/execution_run.h"
#include "stack/fencing.h"
#include "stack/healing.h"

namespace aeterna::app {
namespace {

// For so long one without a process may be gone on with by somebody.
constexpr Duration kOrphanTime = std::chrono::minutes(20);
constexpr Duration kReadTime = std::chrono::seconds(2);

Result<std::vector<hosts::FenceMarker>> read_markers(const config::Stack& stack, const env::Env& env) {
    std::vector<hosts::FenceMarker> all;
    std::set<std::string> here;  // directories of this machine, which its nodes share
    for (const config::Host& host : stack.hosts) {
        if (host.executor == "local" && !here.insert(host.fence_directory).second) continue;
        const auto executor = hosts::make_executor(host, env);
        if (!executor) continue;  // nothing was ever fenced where nothing can be done
        AETERNA_ASSIGN(const auto markers, (*executor)->fences({env.clock.now() + kReadTime, {}, "fences"}));
        for (const hosts::FenceMarker& marker : markers) {
            // Hosts of one machine may share the directory.
            const bool is_known = std::any_of(all.begin(), all.end(), [&](const auto& one) {
                return one.node == marker.node && one.holder == marker.holder;
            });
            if (!is_known) all.push_back(marker);
        }
    }
    return all;
}

// A restore takes days where it has to: as long as its process lives, it lifts its fences by itself.
std::string fate(const engine::ExecutionRecord& execution, const env::Env& env) {
    const std::string who = fmt::format("{} ({} {})", execution.id, execution.runbook, execution.store);
    if (execution.state != engine::ExecutionState::kRunning) {
        return fmt::format("{} has ended: {}", who, engine::execution_state_name(execution.state));
    }
    if (engine::is_driven(execution, env) || env.clock.wall_now() - execution.started_at < kOrphanTime) return "";
    return fmt::format("{} has not ended since {}", who, format_time(execution.started_at));
}

}  // namespace

Result<std::string> holder_gone(const std::string& holder, engine::Journal& journal, const env::Env& env) {
    if (holder == hosts::kOperator) return std::string();
    AETERNA_ASSIGN(const auto execution, journal.execution(holder));
    if (execution) return fate(*execution, env);
    AETERNA_ASSIGN(const auto drill, journal.drill(holder));
    if (!drill) return fmt::format("nobody knows '{}'", holder);
    if (drill->state == "running" && stack::is_drill_alive(*drill, env)) return std::string();
    return fmt::format("the drill {} is over", holder);
}

Fences read_fences(const config::Stack& stack, engine::Journal& journal, const env::Env& env) {
    Fences fences;
    const auto before = read_markers(stack, env);
    if (!before) {
        fences.problem = before.error().to_string();
        return fences;
    }
    std::map<std::string, std::string> gone;  // by holder
    for (const hosts::FenceMarker& marker : *before) {
        const auto why = holder_gone(marker.holder, journal, env);
        if (!why) {
            fences.problem = why.error().to_string();
            return fences;
        }
        gone[marker.holder] = *why;
    }
    // What was lifted meanwhile by a holder that has just ended, was not left behind.
    const auto after = before->empty() ? before : read_markers(stack, env);
    if (!after) fences.problem = after.error().to_string();
    for (const hosts::FenceMarker& marker : after.value_or(std::vector<hosts::FenceMarker>{})) {
        const auto known = gone.find(marker.holder);
        fences.all.push_back({marker, known == gone.end() ? "" : known->second});
    }
    return fences;
}

StoreOfNode stores_of_nodes(const OpenStack& open) {
    StoreOfNode stores;
    for (const config::Host& host : open.stack.hosts) {
        for (const config::HostProcess& process : host.processes) stores[process.node] = "hosts";
    }
    for (const auto& store : open.stores) {
        for (const auto& group : store->fence_groups()) {
            for (const std::string& node : group) stores[node] = store->name();
        }
    }
    return stores;
}

std::vector<engine::Finding> judge_fences(const StoreOfNode& stores, const Fences& fences, WallTime now) {
    std::vector<engine::Finding> findings;
    findings.reserve(stores.size());
    for (const auto& [node, store] : stores) {
        engine::Finding finding{"hosts.fence_left", store, node, engine::Severity::kDegraded,
                                engine::FindingState::kClear, "", {}, now};
        if (!fences.problem.empty()) {
            finding.state = engine::FindingState::kUnknown;
            finding.reasons.push_back(fences.problem);
        }
        for (const Fence& fence : fences.all) {
            if (fence.marker.node != node || fence.left.empty()) continue;
            finding.state = engine::FindingState::kFiring;
            finding.summary = fmt::format("'{}' is held fenced, and nobody is going to lift it: aeterna-dr unfence {}",
                                          node, node);
            finding.reasons.push_back(fmt::format("fence of {} since {} ({}): {}", fence.marker.holder,
                                                  format_time(fence.marker.since), fence.marker.reason, fence.left));
        }
        findings.push_back(std::move(finding));
    }
    return findings;
}

void annotate(engine::StackStatus& status, const Fences& fences) {
    for (engine::StoreStatus& store : status.stores) {
        for (engine::NodeStatus& node : store.nodes) {
            for (const Fence& fence : fences.all) {
                if (fence.marker.node != node.name) continue;
                // Two may hold it; the first is named.
                if (!node.fenced) node.note = "by " + fence.marker.holder + (node.note.empty() ? "" : "; " + node.note);
                node.fenced = true;
            }
        }
    }
}

Result<std::vector<std::string>> liftable_holders(const Fences& fences, const std::vector<std::string>& nodes) {
    std::vector<std::string> holders{hosts::kOperator};
    for (const Fence& fence : fences.all) {
        const std::string& holder = fence.marker.holder;
        const bool is_ours = std::find(nodes.begin(), nodes.end(), fence.marker.node) != nodes.end();
        if (!is_ours || std::find(holders.begin(), holders.end(), holder) != holders.end()) continue;
        if (fence.left.empty()) {
            return make_error(ErrorCode::kGuardRefused,
                              fmt::format("'{}' is held by {}, which lifts it by itself ({})", fence.marker.node, holder,
                                          fence.marker.reason),
                              fmt::format("Wait for it, or name it: --holder {}.", holder));
        }
        holders.push_back(holder);
    }
    return holders;
}

Result<FenceGroup> fence_group(const OpenStack& open, const std::string& node) {
    std::vector<std::string> known;
    for (const auto& store : open.stores) {
        for (const auto& group : store->fence_groups()) {
            if (std::find(group.begin(), group.end(), node) != group.end()) return FenceGroup{store->name(), group};
            known.push_back(group.back());
        }
    }
    return make_error(ErrorCode::kUsage, fmt::format("'{}' is no node that takes writes", node),
                      fmt::format("Name one of: {}.", join(known, ", ")));
}

}  // namespace aeterna::app
