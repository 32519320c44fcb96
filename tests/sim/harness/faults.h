// Faults: does one fault of a schedule to the cluster or a controller, and takes it back.
#pragma once

#include <memory>
#include <vector>

#include "harness/cluster.h"
#include "harness/controller.h"
#include "harness/schedule.h"
#include "harness/truth.h"

namespace aeterna::sim {

class Faults {
  public:
    Faults(World& world, Cluster& cluster, std::vector<std::unique_ptr<Controller>>& controllers, Truth& truth)
        : world_(world), cluster_(cluster), controllers_(controllers), truth_(truth) {}
    // Begins now and ends after its time.
    void inject(const Fault& fault);
    [[nodiscard]] std::size_t begun() const { return begun_; }
    [[nodiscard]] int open() const { return open_; }

  private:
    [[nodiscard]] int target_of(const Fault& fault);
    void act(FaultKind kind, int node, bool begins);
    void act_on_node(FaultKind kind, int node, bool begins);
    void act_on_cluster(FaultKind kind, int node, bool begins);
    void act_on_controller(FaultKind kind, bool begins);
    void ask_failover(int node, bool begins);
    void leave_sync_key(int node);
    void set_window(bool begins);
    void kill_etcd_but(int node, bool begins);
    void kill(Process* process);
    void pause(Process* process, bool begins);
    void start(int node);

    World& world_;
    Cluster& cluster_;
    std::vector<std::unique_ptr<Controller>>& controllers_;
    Truth& truth_;
    std::size_t begun_ = 0;
    int open_ = 0;
    int last_target_ = 0;
    int leader_ = 0;  // the newest that was seen
};

}  // namespace aeterna::sim
