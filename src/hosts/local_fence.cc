#include "hosts/local_fence.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "hosts/pid_file.h"
#include "hosts/process_tree.h"

namespace aeterna::hosts {
namespace {

// A killed process is gone in milliseconds; one that is not is blocked in the kernel, and waiting
// longer would only delay the answer "no fence".
constexpr Duration kConfirmTime = std::chrono::seconds(3);
// The one that kills, and two that see nothing: on a busy machine a single one may take all the time, and what is dead
// by our hand would pass for what we could not kill.
constexpr int kFewestLooks = 3;
// A start that passed its marker check just before ours was written shows up within this time.
constexpr Duration kLateStart = std::chrono::milliseconds(20);

}  // namespace

const config::HostProcess* LocalFence::configured(const std::string& node) const {
    const auto found = std::find_if(host_.processes.begin(), host_.processes.end(),
                                    [&](const auto& process) { return process.node == node; });
    return found == host_.processes.end() ? nullptr : &*found;
}

Status LocalFence::check_order(const FenceOrder& order) const {
    for (const std::string& node : order.nodes) {
        const config::HostProcess* process = configured(node);
        if (process == nullptr) {
            return make_error(ErrorCode::kConfiguration,
                              fmt::format("'{}' is not configured on host '{}'", node, host_.name));
        }
        if (!process->honours_fence) {
            return make_error(
                ErrorCode::kConfiguration,
                fmt::format("'{}' cannot be fenced: nothing keeps it from being started again", node),
                "Make its starter honour the markers, then say 'fence: marker' (docs/stack-file.md).");
        }
    }
    return {};
}

// Children come and go under the same main process, and those of a dead one are older than its death.
Status LocalFence::check_ran(const NodeProcesses& left, const FenceOrder& order) {
    if (!order.ran || left.is_headless) return {};
    const env::ProcessId& main = left.processes.front();
    const bool is_known = std::find(order.ran->begin(), order.ran->end(), main) != order.ran->end();
    if (is_known) return {};
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("process {} of '{}' was started after the look", main.pid, left.node),
                      "Look again.", Effect::kPartial);
}

// Backends outlive a killed postmaster, most for a moment, one that waits for a lock for ever. They stand in its data
// directory, are called as it was, and run as the owner of its pid file.
std::vector<env::ProcessId> LocalFence::orphans_of(const std::string& node) {
    std::vector<env::ProcessId> orphans;
    const config::HostProcess* process = configured(node);
    const auto text = env_.files.read(process->pid_file, 4096);
    const auto owner = env_.files.owner(process->pid_file);
    const auto file = text ? parse_pid_file(*text) : std::nullopt;
    if (!file || file->data_directory.empty() || !owner) return orphans;
    const std::string directory = env_.files.canonical(file->data_directory);
    for (const env::ProcessInfo& info : env_.processes.list()) {
        const bool is_backend = info.command == "postgres" && info.uid == owner->uid &&
                                info.working_directory == directory && info.state != 'Z';
        if (is_backend) orphans.push_back(info.id);
    }
    return orphans;
}

Result<NodeProcesses> LocalFence::remains(const std::string& node, const env::Context& context) {
    auto found = executor_.find(node, context);
    if (!found && found.error().code != ErrorCode::kNotFound) return found.error();
    NodeProcesses left = found ? std::move(*found) : NodeProcesses{node, {}};
    for (const env::ProcessId& id : orphans_of(node)) {
        const bool is_known = std::find(left.processes.begin(), left.processes.end(), id) != left.processes.end();
        if (!is_known) left.processes.push_back(id);
    }
    left.is_headless = !found && !left.processes.empty();
    return left;
}

Result<Vitals> LocalFence::vitals(const std::string& node, const env::Context& context) {
    AETERNA_ASSIGN(const NodeProcesses left, remains(node, context));
    Vitals vitals;
    for (const env::ProcessId& id : left.processes) {
        const auto info = env_.processes.inspect(id.pid);
        if (!info || info->id != id) continue;
        ++vitals.alive;
        if (info->state == 'T' || info->state == 't') ++vitals.stopped;
        if (info->state == 'D') ++vitals.blocked;
        if (!left.is_headless && id == left.processes.front()) vitals.main = id;
    }
    vitals.is_headless = left.is_headless && vitals.alive > 0;
    return vitals;
}

bool LocalFence::is_marked(const FenceOrder& order) const {
    return std::any_of(order.nodes.begin(), order.nodes.end(), [&](const std::string& node) {
        return env_.files.exists(host_.fence_directory + "/" + node + "/" + order.holder);
    });
}

Status LocalFence::fence(const FenceOrder& order, const env::Context& context) {
    AETERNA_TRY(check_order(order));
    Status fenced = hold_and_kill(order, context);
    if (fenced || fenced.error().effect != Effect::kNone || !is_marked(order)) return fenced;
    Error error = std::move(fenced).error();
    error.effect = Effect::kPartial;
    return error;
}

Status LocalFence::hold_and_kill(const FenceOrder& order, const env::Context& context) {
    for (const std::string& node : order.nodes) {
        AETERNA_TRY(put_marker(env_.files, host_.fence_directory,
                               {node, order.holder, order.reason, env_.clock.wall_now()}));
    }
    const MonoTime end = env_.clock.within(kConfirmTime, context).deadline;
    bool was_empty = false;
    std::set<std::string> killed;
    for (int looks = 1;; ++looks) {
        NodeProcesses all{join(order.nodes, " and "), {}};
        std::set<std::string> running;
        for (const std::string& node : order.nodes) {
            AETERNA_ASSIGN(const NodeProcesses left, remains(node, context));
            if (left.processes.empty()) continue;
            const bool is_widowed = killed.size() > killed.count(node);
            if (!is_widowed) AETERNA_TRY(check_ran(left, order));
            running.insert(node);
            all.processes.insert(all.processes.end(), left.processes.begin(), left.processes.end());
        }
        // We may have stood still since the order was given, or the disk under the markers has.
        if (killed.empty() && order.begin_before && env_.clock.now() >= *order.begin_before)
            return make_error(ErrorCode::kDeadline, "the order to fence came too late");
        killed.merge(running);
        // All of them get the signal before any is waited for: one that is stuck in the kernel must not spare the others.
        if (!all.processes.empty()) AETERNA_TRY(executor_.kill(all, env_.clock.within(kConfirmTime, context)));
        if (all.processes.empty() && was_empty) return {};
        was_empty = all.processes.empty();
        const bool is_over = looks >= kFewestLooks && env_.clock.now() + kLateStart >= end;
        if (is_over || !env_.clock.sleep_for(kLateStart, context.stop)) break;
    }
    return make_error(ErrorCode::kPartial,
                      fmt::format("it could not be confirmed that nothing of {} is left",
                                  join(order.nodes, " and ")),
                      "Something starts it again in spite of the marker; find out what.",
                      Effect::kPartial);
}

}  // namespace aeterna::hosts
