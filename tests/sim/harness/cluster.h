// Cluster: three hosts with etcd, PostgreSQL and Patroni each, begun healthy with postgres-1 as the
// leader, beside a host for applications and two for controllers. Its nodes are named as the lab's;
// "start-node" starts one as the lab's start command does, and refuses while a fence marker
// inhibits it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/site.h"
#include "models/etcd.h"
#include "models/patroni.h"
#include "models/postgres.h"

namespace aeterna::sim {

class Cluster : public Site {
  public:
    Cluster(World& world, models::PatroniSettings settings);

    [[nodiscard]] models::Etcd& etcd() { return *etcd_; }
    [[nodiscard]] models::Postgres& postgres(int node) {
        return *postgres_[static_cast<std::size_t>(node)];
    }
    [[nodiscard]] models::Patroni& patroni(int node) {
        return *patroni_[static_cast<std::size_t>(node)];
    }
    [[nodiscard]] const models::PatroniSettings& settings() const { return *settings_; }
    void set_paused(bool paused) { settings_->is_paused = paused, write_config(); }
    // Unreadable or gone.
    void spoil_config(bool spoilt);
    [[nodiscard]] bool is_config_spoilt() const { return is_config_spoilt_; }
    // Its agent cannot be started.
    void set_broken(int node, bool broken) { broken ? void(broken_.insert(node)) : void(broken_.erase(node)); }
    // By hand, past every agent; an empty value removes the key.
    void put_key(const std::string& key, const std::string& value);
    // A person starts it, or its supervisor's unit without the condition: no marker counts.
    void start_past_markers(int node);
    // Such a start, before it happens.
    std::function<void(int node)> on_forced_start;
    // A supervisor starts agents that were killed, unless a marker inhibits it.
    void supervise(Duration restart_after);
    // A start by the "start-node" program, before it happens.
    std::function<void(int node, const Process& caller)> on_start_program;
    [[nodiscard]] int thefts() const;

    // The holder of the leader key, when it runs as the only primary (of a standby cluster: at all); else -1.
    [[nodiscard]] int leader();
    // One leader, everybody else streams from it, etcd agrees, in synchronous mode a standby is
    // named.
    [[nodiscard]] bool is_healthy();
    [[nodiscard]] std::string describe();
    // Starts what does not run and no marker inhibits; lets stopped processes go on.
    void start_missing();
    // "patroni-2". False while a marker of it is there.
    bool start_node(const std::string& node);
    [[nodiscard]] std::string stack_file(const std::string& state_directory, const std::string& assist) const override;
    int unfenceable = -1;  // a node that the stack file calls so
    bool is_over = false;  // nothing is started any more

  private:
    void write_config();
    void reset_host(int node);
    void watch_agent(int node);

    std::shared_ptr<models::PatroniSettings> settings_;
    std::unique_ptr<models::Etcd> etcd_;
    std::vector<std::unique_ptr<models::Postgres>> postgres_;
    std::vector<std::unique_ptr<models::Patroni>> patroni_;
    std::vector<models::Patroni*> peers_;
    bool is_config_spoilt_ = false;
    std::set<int> broken_;
    Duration restart_after_{};  // by the supervisor; 0: there is none
};

}  // namespace aeterna::sim
