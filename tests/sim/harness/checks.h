// Checks: looks on while a schedule runs, and says what must not have been.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/cluster.h"
#include "harness/controller.h"
#include "harness/run.h"
#include "harness/workload.h"

namespace aeterna::sim {

class Checks {
  public:
    Checks(World& world, Cluster& cluster, std::vector<std::unique_ptr<Controller>>& controllers);
    // Everything has come to rest, or the time is over.
    void finish(const Workload& workload, bool settled, Outcome& outcome);

  private:
    // Somebody took this node's leader key away, and it was a controller.
    struct Release {
        Duration at{};
        bool is_open = false;
    };
    void violated(const std::string& what);
    [[nodiscard]] const Controller* owner(const Process& process) const;
    [[nodiscard]] bool is_isolated(const Process& process) const;
    void key_changed(Process& client, const models::EtcdStore& before,
                     const models::EtcdStore& after);
    void written(const models::Postgres& server);
    void signalled(Process& from, const Process& to, int number);
    void check_rows(const Workload& workload, Outcome& outcome);
    void check_executions(Outcome& outcome);
    void check_fences(Outcome& outcome);

    World& world_;
    Cluster& cluster_;
    std::vector<std::unique_ptr<Controller>>& controllers_;
    std::map<std::string, Release> releases_;  // by member
    std::vector<std::string> violations_;
    int kills_ = 0;
    int release_count_ = 0;
};

}  // namespace aeterna::sim
