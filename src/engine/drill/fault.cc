#include "engine/drill/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include "engine/runbook/records.h"
#include "hosts/executor.h"

namespace aeterna::engine {
namespace {

Json to_json(const std::vector<env::ProcessId>& processes) {
    Json json = Json::array();
    for (const env::ProcessId& id : processes) json.push_back(process_to_json(id));
    return json;
}

std::vector<env::ProcessId> processes_of(const Json& inverse) {
    std::vector<env::ProcessId> processes;
    const Json* list = find_member(inverse, "processes");
    if (list == nullptr || !list->is_array()) return processes;
    for (const Json& item : *list) {
        if (const auto process = process_from_json(item)) processes.push_back(*process);
    }
    return processes;
}

Result<std::unique_ptr<hosts::Executor>> executor_for(const config::Stack& stack, const std::string& node,
                                                      const env::Env& env) {
    const config::Host* host = stack.host_of(node);
    if (host == nullptr) {
        return make_error(ErrorCode::kConfiguration, fmt::format("no host has the node '{}'", node),
                          "Add it to a host's processes in the stack file.");
    }
    return hosts::make_executor(*host, env);
}

// Every process of the nodes now, each once. A node that does not run is an error with `must_run`, else left out.
Result<std::vector<env::ProcessId>> find_all(const config::Stack& stack, const std::vector<std::string>& nodes,
                                             bool must_run, const env::Env& env, const env::Context& context) {
    std::vector<env::ProcessId> all;
    for (const std::string& node : nodes) {
        AETERNA_ASSIGN(const auto executor, executor_for(stack, node, env));
        const auto found = executor->find(node, context);
        if (!found && found.error().code == ErrorCode::kNotFound && !must_run) continue;
        if (!found) return found.error();
        for (const env::ProcessId& id : found->processes) {
            if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
        }
    }
    return all;
}

// The nodes whose starters honour a marker; the others can only be killed, and may be back before heal.
std::vector<std::string> holdable(const config::Stack& stack, const std::vector<std::string>& nodes) {
    std::vector<std::string> held;
    for (const std::string& node : nodes) {
        const config::Host* host = stack.host_of(node);
        if (host != nullptr && host->can_hold(node)) held.push_back(node);
    }
    return held;
}

}  // namespace

FaultInjector::FaultInjector(const config::Stack& stack, Journal& journal, const env::Env& env)
    : stack_(stack), journal_(journal), env_(env) {}

Result<FaultRecord> FaultInjector::prepare(const std::string& drill_id, const std::string& store,
                                           FaultKind kind, const FaultTarget& target,
                                           const env::Context& context) {
    AETERNA_ASSIGN(const auto processes, find_all(stack_, target.hit, /*must_run=*/true, env_, context));
    FaultRecord fault;
    fault.id = make_record_id("fault", env_.clock.wall_now(), env_.random.next());
    fault.drill_id = drill_id;
    fault.store = store;
    fault.kind = fault_kind_name(kind);
    fault.state = "intended";
    fault.at = env_.clock.wall_now();
    fault.inverse = {{"primary", target.primary},
                     {"hit", target.hit},
                     {"start", target.start},
                     {"processes", to_json(processes)}};
    if (kind == FaultKind::kKill) {
        fault.inverse["held"] = holdable(stack_, target.hit);
        fault.inverse["holder"] = drill_id;
    }
    AETERNA_TRY(journal_.put_fault(fault));
    AETERNA_TRY(hold(fault));
    return fault;
}

// Before the kill and not with it: what a drill measures begins with the signal.
Status FaultInjector::hold(const FaultRecord& fault) {
    const std::string holder = find_string(fault.inverse, "holder").value_or("");
    for (const std::string& node : find_strings(fault.inverse, "held")) {
        const config::Host* host = stack_.host_of(node);
        if (host == nullptr) continue;
        AETERNA_TRY(hosts::put_marker(env_.files, host->fence_directory,
                                      {node, holder, "killed by the drill, until it heals", env_.clock.wall_now()}));
    }
    return {};
}

Status FaultInjector::release(const FaultRecord& fault, const env::Context& context) {
    const std::string holder = find_string(fault.inverse, "holder").value_or("");
    for (const std::string& node : find_strings(fault.inverse, "held")) {
        AETERNA_ASSIGN(const auto executor, executor_for(stack_, node, env_));
        AETERNA_TRY(executor->unfence({node}, holder, context));
    }
    return {};
}

Status FaultInjector::inject(FaultRecord& fault, const env::Context& context) {
    const std::vector<std::string> hit = find_strings(fault.inverse, "hit");
    if (hit.empty()) return make_error(ErrorCode::kInternal, "the fault names no node");
    AETERNA_ASSIGN(const auto executor, executor_for(stack_, hit.front(), env_));
    std::vector<env::ProcessId> processes = processes_of(fault.inverse);
    fault.at = env_.clock.wall_now();
    if (fault.kind == "kill") {
        AETERNA_TRY(executor->kill({hit.front(), processes}, context));
    } else {
        AETERNA_TRY(executor->pause({hit.front(), processes}, context));
        while (env_.clock.remaining(context) > Duration::zero()) {
            AETERNA_ASSIGN(const auto now_there, find_all(stack_, hit, /*must_run=*/false, env_, context));
            std::vector<env::ProcessId> fresh;
            for (const env::ProcessId& id : now_there) {
                if (std::find(processes.begin(), processes.end(), id) == processes.end()) fresh.push_back(id);
            }
            if (fresh.empty()) break;
            processes.insert(processes.end(), fresh.begin(), fresh.end());
            fault.inverse["processes"] = to_json(processes);
            AETERNA_TRY(journal_.put_fault(fault));
            AETERNA_TRY(executor->pause({hit.front(), fresh}, context));
        }
    }
    fault.state = "injected";
    return journal_.put_fault(fault);
}

Status FaultInjector::complete(const FaultRecord& fault, const env::Context& context) {
    if (fault.kind != "kill") return {};
    const std::vector<std::string> nodes = find_strings(fault.inverse, "hit");
    bool was_empty = false;
    while (env_.clock.remaining(context) > Duration::zero()) {
        bool is_empty = true;
        for (const std::string& node : nodes) {
            AETERNA_ASSIGN(const auto executor, executor_for(stack_, node, env_));
            AETERNA_ASSIGN(const hosts::NodeProcesses left, executor->remains(node, context));
            if (left.processes.empty()) continue;
            is_empty = false;
            AETERNA_TRY(executor->kill(left, context));
        }
        if (is_empty && was_empty) return {};
        was_empty = is_empty;
    }
    return make_error(ErrorCode::kPartial, "not everything that was to be killed is dead", "", Effect::kPartial);
}

Status FaultInjector::heal(FaultRecord& fault, const env::Context& context) {
    std::optional<Error> first_error;
    const auto keep = [&](const Status& status, const std::string& what) {
        if (!status && !first_error) first_error = wrap_error(status.error(), what);
    };
    keep(release(fault, context), "could not lift the drill's hold");
    if (fault.kind == "pause") keep(continue_stopped(fault, context), "could not continue what was stopped");
    for (const std::string& node : find_strings(fault.inverse, "start")) {
        const auto executor = executor_for(stack_, node, env_);
        const Status started = executor ? (*executor)->start(node, context) : Status(executor.error());
        // A failover that still holds its fence starts the node itself when it lifts it; a fence that nobody lifts
        // is an incident of its own. What this fault broke is taken back all the same.
        if (!started && started.error().code == ErrorCode::kGuardRefused) {
            env_.log.info("fault.node_held_by_others", {{"node", node}, {"why", started.error().to_string()}});
            continue;
        }
        keep(started, fmt::format("could not start '{}'", node));
    }
    if (first_error) return *first_error;
    fault.state = "healed";
    return journal_.put_fault(fault);
}

Status FaultInjector::continue_stopped(const FaultRecord& fault, const env::Context& context) {
    std::optional<Error> first_error;
    std::vector<env::ProcessId> processes = processes_of(fault.inverse);
    // Also what was forked and stopped after the last entry in the journal, if its drill died just then.
    const auto present = find_all(stack_, find_strings(fault.inverse, "hit"), /*must_run=*/false, env_, context);
    if (present) processes.insert(processes.end(), present->begin(), present->end());
    else first_error = present.error();
    std::reverse(processes.begin(), processes.end());
    for (const env::ProcessId& id : processes) {
        const Status resumed = env_.processes.signal(id, SIGCONT);
        // Gone is healed too: the start that follows brings the node back.
        const bool is_fine = resumed || resumed.error().code == ErrorCode::kNotFound;
        if (!is_fine && !first_error) first_error = resumed.error();
    }
    if (first_error) return *first_error;
    return {};
}

}  // namespace aeterna::engine
