// The lab's texts for people.
#include <fmt/format.h>

#include "base/strings.h"
#include "lab/lab.h"
#include "lab/server_config.h"

namespace aeterna::lab {

std::string render(const UpResult& result) {
    const Layout& layout = result.layout;
    std::string text =
        result.started == 0
            ? fmt::format("The lab in {} was up already and is healthy.\n", layout.directory)
            : fmt::format("The lab in {} is up and healthy: {} processes started, {:.1f} s.\n",
                          layout.directory, result.started, result.seconds);
    for (const std::string& note : result.notes) text += "  note: " + note + "\n";
    const auto line = [&](const char* what, const std::string& where) {
        text += fmt::format("  {:<12}{}\n", what, where);
    };
    line("PostgreSQL", fmt::format("{} through HAProxy, database {}{}",
                                   layout.endpoint("haproxy", kFrontHost).to_string(), kDatabase,
                                   layout.synchronous ? ", synchronous mode" : ""));
    line("Redis", fmt::format("Sentinel {} … .3, master name {}",
                              layout.endpoint("sentinel", 1).to_string(), kMasterName));
    line("Qdrant", fmt::format("http://{} … .3{}", layout.endpoint("qdrant", 1).to_string(),
                               layout.has_real_qdrant() ? "" : "  (STAND-IN, not a real Qdrant)"));
    line("Prometheus", "http://" + layout.endpoint("prometheus", kFrontHost).to_string());
    if (result.is_serve_running)
        line("serve",
             fmt::format("http://{}/metrics", layout.endpoint("serve", kFrontHost).to_string()));
    line("stack file", layout.path("stack.yaml"));
    return text;
}

std::string render(const LabStatus& status) {
    if (!status.exists) return fmt::format("No lab in {}.\n", status.directory);
    std::string text = fmt::format("Lab in {}: {}\n\n", status.directory,
                                   status.is_up ? "up and healthy" : "not up");
    text +=
        fmt::format("{:<14}{:<10}{:>8}  {:<22}{}\n", "NODE", "STORE", "PID", "ADDRESS", "SERVER");
    for (const NodeState& state : status.nodes) {
        const std::string pid = !state.process       ? "-"
                                : state.state == 'T' ? fmt::format("{} (T)", state.process->pid)
                                                     : std::to_string(state.process->pid);
        text += fmt::format("{:<14}{:<10}{:>8}  {:<22}{}\n", state.node.name,
                            state.node.store.empty() ? "-" : state.node.store, pid,
                            state.node.address.to_string(),
                            state.node.server == "real" ? "real" : "STAND-IN, not a real Qdrant");
    }
    if (!status.reasons.empty()) text += "\n";
    for (const std::string& reason : status.reasons) text += "  " + reason + "\n";
    return text;
}

}  // namespace aeterna::lab
