// Checks: looks on while a schedule runs, and says what must not have been. What was known about the cluster when a
// controller acted comes from Truth.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/cluster.h"
#include "harness/crew.h"
#include "harness/run.h"
#include "harness/truth.h"
#include "harness/violations.h"
#include "harness/workload.h"

namespace aeterna::sim {

class Checks {
  public:
    Checks(World& world, Cluster& cluster, Crew& crew, const std::string& assist);
    [[nodiscard]] Truth& truth() { return truth_; }
    // Everything has come to rest, or the time is over.
    void finish(const Workload& workload, bool settled, Outcome& outcome);

  private:
    // Somebody took this node's leader key away, and it was a controller.
    struct Release {
        MonoTime at{};
        bool is_open = false;  // it has not held the key again
        bool is_held = false;  // nobody has held it since
    };
    struct Fence {
        std::size_t controller = 0;
        MonoTime at{};
    };
    void look();
    void violated(const std::string& what) { violations_.add(what); }
    void violated_by(const std::string& who, const std::string& did, const std::vector<std::string>& why);
    void violated_by_fence(std::size_t controller, const std::string& did, const std::vector<std::string>& why);
    [[nodiscard]] std::optional<std::size_t> owner(const Process& process) const;
    [[nodiscard]] int node_of(const Process& process) const;
    [[nodiscard]] bool is_forced(int node, MonoTime from) const;
    [[nodiscard]] double age_of(MonoTime time) const { return to_seconds(world_.age() - (world_.now() - time)); }
    void key_changed(const models::Etcd::ClientChange& change);
    void released(const models::Etcd::ClientChange& change, std::size_t controller, const std::string& member);
    void written(const models::Postgres& server);
    void signalled(const Process& from, const Process& to, int number);
    void program_started(int node, const Process& caller);
    void marker_found(const std::string& node, const std::string& holder, std::size_t directory);
    void look_at_markers();
    void look_at_releases();
    void look_at_executions();
    void check_leave(std::size_t controller, const std::string& did);
    void check_rows(const Workload& workload, Outcome& outcome);
    void check_executions(Outcome& outcome);
    void check_cooldown(const Controller& controller);
    void check_fences(Outcome& outcome);

    World& world_;
    Cluster& cluster_;
    Crew& crew_;
    std::vector<std::unique_ptr<Controller>>& controllers_;
    std::string assist_;
    Truth truth_;
    std::map<std::string, Release> releases_;  // by member
    std::map<int, Fence> fences_;              // by node: the newest
    std::map<int, MonoTime> forced_;           // by node: a person has started it past our marker
    std::map<std::string, MonoTime> begun_;    // executions, by id
    std::map<std::string, std::size_t> markers_;  // "node by holder" → whose directory
    std::map<std::int64_t, const Process*> actors_;  // by the lease of their lock
    Violations violations_{world_};
    int kills_ = 0;
    int release_count_ = 0;
};

}  // namespace aeterna::sim
