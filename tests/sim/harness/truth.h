// Truth: what the models themselves say against an act of a controller, from their own state and never through the
// program's code. Each says how long it had been so: a controller may act on what it saw up to kKnown before.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/cluster.h"
#include "harness/controller.h"
#include "harness/spans.h"

namespace aeterna::sim {

class Truth {
  public:
    Truth(World& world, Cluster& cluster, const std::vector<std::unique_ptr<Controller>>& controllers);

    // What has held for this long must be known to whoever acts: the longest look, and the writes of the journal.
    static constexpr Duration kKnown = std::chrono::milliseconds(2500);

    void set_window(bool is_open) {
        is_window_open_ = is_open;
        window_.note(is_open, world_.now());
    }
    // As it is at this instant: before an act is judged.
    void refresh();
    // Everything that forbids to act for the node, whatever its state.
    [[nodiscard]] std::vector<std::string> refusals(int node, std::size_t controller, MonoTime at) const;
    // Why a SIGKILL to something of the node is wrong now.
    [[nodiscard]] std::vector<std::string> against_killing(int node, std::size_t controller) const;
    // "" when nothing of the node runs.
    [[nodiscard]] std::string running_of(int node) const;
    [[nodiscard]] bool has_window_held(MonoTime from, MonoTime to) const { return window_.covers(from, to); }
    [[nodiscard]] bool was_paused(MonoTime at) const { return paused_.covers(at - kKnown, at); }

  private:
    struct NodeTruth {
        Spans not_leader;     // somebody else or nobody holds the leader key
        Spans foreign_sync;   // the sync key names another leader
        Spans no_successor;   // nobody could be elected instead
        Spans watchdog;
        Spans server_up;      // it accepts connections
        std::array<Spans, 2> heard;           // a controller hears the server
        std::array<Spans, 2> replicas_hear;   // so does a replica that the controller hears
        std::array<Spans, 2> all_replicas_hear;   // so do all of them
        std::array<Spans, 2> agent_answers;
        std::array<Spans, 2> writes_seen;     // a controller reaches another primary
    };
    void look();
    void look_at(int node, MonoTime now);
    void look_from(std::size_t controller, int node, MonoTime now);
    [[nodiscard]] bool is_near(std::size_t controller, int node) const;
    [[nodiscard]] bool could_lead(int node) const;
    [[nodiscard]] std::vector<std::string> against_silent(int node, std::size_t controller) const;

    World& world_;
    Cluster& cluster_;
    const std::vector<std::unique_ptr<Controller>>& controllers_;
    std::array<NodeTruth, Cluster::kNodes> nodes_;
    std::array<Spans, 2> isolated_, failsafe_;
    Spans paused_, standby_cluster_, failover_asked_, no_quorum_, config_spoilt_, window_;
    Spans lease_ends_;  // of the leader key: soon, or there is none
    bool is_window_open_ = false;
    models::PatroniView view_;  // of this revision of the store
    std::int64_t view_revision_ = 0;
};

}  // namespace aeterna::sim
