// Site: the place that a controller watches: three hosts for servers, one for applications, two for controllers, and a
// stack file. What runs on the hosts is a cluster's business.
#pragma once

#include <string>
#include <vector>

#include "env/sim/world.h"

namespace aeterna::sim {

class Site {
  public:
    static constexpr int kNodes = 3;
    static constexpr int kEtcdPort = 2379;
    explicit Site(World& world);
    virtual ~Site() = default;
    Site(const Site&) = delete;
    Site& operator=(const Site&) = delete;

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] Host& host(int node) { return *hosts_[static_cast<std::size_t>(node)]; }
    [[nodiscard]] Host& application_host() { return *application_host_; }
    [[nodiscard]] Host& controller_host(int controller) {
        return *controller_hosts_[static_cast<std::size_t>(controller)];
    }
    // For a controller with that state directory.
    [[nodiscard]] virtual std::string stack_file(const std::string& state_directory,
                                                 const std::string& assist) const = 0;

    // What it sends to everybody (`out`) and what everybody sends to it (`in`) is lost, or travels again.
    void cut(Host& host, bool out, bool in, bool begins);
    // Between it and the controllers alone: everybody else still hears it.
    void cut_from_controllers(Host& host, bool begins);
    // Between it and the other servers' hosts alone: controllers and applications still reach it.
    void cut_from_servers(Host& host, bool begins);
    // Whatever is stopped or stuck on it goes on.
    void wake_all_on(const Host& host);

    std::vector<std::string> fence_directories;
    // "patroni-2 by exec-…": every marker that is there.
    [[nodiscard]] std::vector<std::string> markers();
    [[nodiscard]] bool is_marked(const std::string& node);

  protected:
    // Name, state directory, serve's address and etcd.
    [[nodiscard]] std::string stack_head(const std::string& state_directory) const;

    World& world_;
    std::vector<Host*> hosts_;
    Host* application_host_ = nullptr;
    std::vector<Host*> controller_hosts_;
};

}  // namespace aeterna::sim
