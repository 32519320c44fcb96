#include "scenario_stage.h"

#include <algorithm>
#include <csignal>

namespace aeterna::sim {
namespace {

constexpr Duration kRowEvery = std::chrono::milliseconds(50);
constexpr Duration kRowTimeout = std::chrono::seconds(1);
constexpr Duration kWriterMemory = std::chrono::seconds(1);

}  // namespace

Writers::Writers(Site& site, EndpointOf endpoint_of, Write write)
    : site_(site), endpoint_of_(std::move(endpoint_of)), write_(std::move(write)) {
    ProcessOptions options;
    options.command = "application";
    options.host = &site_.application_host();
    process_ = &site_.world().processes.start(std::move(options));
    for (int node = 0; node < Site::kNodes; ++node)
        site_.world().scheduler.spawn(process_, "writer", [this, node] { write_to(node); });
}

std::vector<int> Writers::recent() const {
    std::vector<int> nodes;
    for (int node = 0; node < Site::kNodes; ++node) {
        const auto& last = acknowledged_[static_cast<std::size_t>(node)];
        if (last && site_.world().now() - *last <= kWriterMemory) nodes.push_back(node);
    }
    return nodes;
}

bool Writers::is(const std::string& value, const std::map<std::string, int>& nodes) const {
    const std::vector<int> writers = recent();
    if (value == "nobody") return writers.empty();
    if (value == "two") return writers.size() == 2;
    if (writers.size() != 1) return false;
    if (value == "one") return true;
    return value == "another" ? writers.front() != nodes.at("leader") : writers.front() == nodes.at(value);
}

void Writers::write_to(int node) {
    World& world = site_.world();
    while (process_->is_alive()) {
        static_cast<void>(world.scheduler.park(world.now() + kRowEvery, {}, "its next row"));
        if (!process_->is_alive()) return;
        const auto answer = world.network.call<Status>(
            *process_, endpoint_of_(node), {world.now() + kRowTimeout, {}, ""}, {true, "row", "its row"},
            [this, node](Network::Listener&, const Promise<Status>& promise) {
                write_(node, ++rows_, [promise](Status done) { promise.send(std::move(done)); });
            });
        if (answer && *answer) acknowledged_[static_cast<std::size_t>(node)] = world.now();
    }
}

std::map<std::string, int> named_around(int leader) {
    std::map<std::string, int> nodes{{"leader", leader}};
    for (int node = 0; node < Site::kNodes; ++node) {
        if (node != leader) nodes.try_emplace(nodes.contains("first") ? "second" : "first", node);
    }
    return nodes;
}

void signal_process(World& world, Process* process, const std::string& verb) {
    if (process == nullptr) return;
    world.processes.signal(*process, verb == "kill" ? SIGKILL : verb == "stop" ? SIGSTOP : SIGCONT);
}

}  // namespace aeterna::sim
