#include "harness/site.h"

#include <fmt/format.h>

namespace aeterna::sim {

Site::Site(World& world) : world_(world) {
    for (int i = 1; i <= kNodes; ++i) {
        hosts_.push_back(&world_.network.add_host(fmt::format("host-{}", i), fmt::format("10.0.0.{}", i)));
    }
    application_host_ = &world_.network.add_host("application", "10.0.0.9");
    controller_hosts_ = {&world_.network.add_host("controller-1", "10.0.0.11"),
                         &world_.network.add_host("controller-2", "10.0.0.12")};
}

std::string Site::stack_head(const std::string& state_directory) const {
    std::string text =
        fmt::format("name: lab\nstate_directory: {}\nserve:\n  listen: 10.0.0.{}:9464\netcd:\n  endpoints: [",
                    state_directory, state_directory.ends_with("2") ? 12 : 11);
    for (int i = 1; i <= kNodes; ++i) text += fmt::format("{}http://10.0.0.{}:{}", i > 1 ? ", " : "", i, kEtcdPort);
    return text + "]\n";
}

void Site::cut(Host& host, bool out, bool in, bool begins) {
    std::vector<Host*> others = {application_host_};
    others.insert(others.end(), controller_hosts_.begin(), controller_hosts_.end());
    others.insert(others.end(), hosts_.begin(), hosts_.end());
    for (Host* other : others) {
        if (out) begins ? world_.network.cut(host, *other) : world_.network.heal(host, *other);
        if (in) begins ? world_.network.cut(*other, host) : world_.network.heal(*other, host);
    }
}

void Site::cut_from_controllers(Host& host, bool begins) {
    for (Host* own : controller_hosts_) {
        begins ? world_.network.cut(*own, host) : world_.network.heal(*own, host);
        begins ? world_.network.cut(host, *own) : world_.network.heal(host, *own);
    }
}

void Site::cut_from_servers(Host& host, bool begins) {
    for (Host* other : hosts_) {
        if (other == &host) continue;
        begins ? world_.network.cut(*other, host) : world_.network.heal(*other, host);
        begins ? world_.network.cut(host, *other) : world_.network.heal(host, *other);
    }
}

void Site::wake_all_on(const Host& host) {
    for (const env::ProcessInfo& info : world_.processes.list()) {
        Process* process = world_.processes.find(info.id.pid);
        if (process == nullptr || process->host != &host) continue;
        world_.processes.thaw(*process);
        if (process->is_stopped()) world_.processes.signal(*process, SIGCONT);
    }
}

std::vector<std::string> Site::markers() {
    std::vector<std::string> found;
    for (const std::string& directory : fence_directories) {
        for (const std::string& node : world().disk.list(directory)) {
            for (const std::string& holder : world().disk.list(directory + "/" + node)) {
                found.push_back(node + " by " + holder);
            }
        }
    }
    return found;
}

bool Site::is_marked(const std::string& node) {
    for (const std::string& directory : fence_directories) {
        if (!world().disk.list(directory + "/" + node).empty()) return true;
    }
    return false;
}

}  // namespace aeterna::sim
