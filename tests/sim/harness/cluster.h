// Cluster: three hosts with etcd, PostgreSQL and Patroni each, begun healthy with postgres-1 as the
// leader, beside a host for applications and two for controllers. Its nodes are named as the lab's;
// "start-node" starts one as the lab's start command does, and refuses while a fence marker
// inhibits it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/etcd.h"
#include "models/patroni.h"
#include "models/postgres.h"

namespace aeterna::sim {

class Cluster {
  public:
    static constexpr int kNodes = 3;
    Cluster(World& world, models::PatroniSettings settings);

    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] models::Etcd& etcd() { return *etcd_; }
    [[nodiscard]] models::Postgres& postgres(int node) {
        return *postgres_[static_cast<std::size_t>(node)];
    }
    [[nodiscard]] models::Patroni& patroni(int node) {
        return *patroni_[static_cast<std::size_t>(node)];
    }
    [[nodiscard]] Host& host(int node) { return *hosts_[static_cast<std::size_t>(node)]; }
    [[nodiscard]] Host& application_host() { return *application_host_; }
    [[nodiscard]] Host& controller_host(int controller) {
        return *controller_hosts_[static_cast<std::size_t>(controller)];
    }
    [[nodiscard]] const models::PatroniSettings& settings() const { return *settings_; }
    void set_paused(bool paused) { settings_->is_paused = paused, write_config(); }
    [[nodiscard]] int thefts() const;

    // The holder of the leader key, when it runs as the only primary; else -1.
    [[nodiscard]] int leader();
    // One leader, everybody else streams from it, etcd agrees, in synchronous mode a standby is
    // named.
    [[nodiscard]] bool is_healthy();
    [[nodiscard]] std::string describe();
    // Starts what does not run and no marker inhibits; lets stopped processes go on.
    void start_missing();
    // "patroni-2". False while a marker of it is there.
    bool start_node(const std::string& node);
    // The stack file of this cluster for a controller with that state directory.
    [[nodiscard]] std::string stack_file(const std::string& state_directory,
                                         const std::string& assist) const;
    [[nodiscard]] std::vector<std::string> markers() const;
    std::vector<std::string> fence_directories;

  private:
    void write_config();

    World& world_;
    std::shared_ptr<models::PatroniSettings> settings_;
    std::vector<Host*> hosts_;
    Host* application_host_ = nullptr;
    std::vector<Host*> controller_hosts_;
    std::unique_ptr<models::Etcd> etcd_;
    std::vector<std::unique_ptr<models::Postgres>> postgres_;
    std::vector<std::unique_ptr<models::Patroni>> patroni_;
    std::vector<models::Patroni*> peers_;
};

}  // namespace aeterna::sim
