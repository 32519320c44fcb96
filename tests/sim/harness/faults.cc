#include "harness/faults.h"

#include <fmt/format.h>

#include "engine/runbook/actor_lock.h"

namespace aeterna::sim {
namespace {

constexpr Duration kWindowTime = std::chrono::hours(3);  // beyond every jump of a clock

}  // namespace

int Faults::target_of(const Fault& fault) {
    if (fault.target >= 0) return fault.target;
    if (fault.target == Fault::kSame) return last_target_;
    const int leader = cluster_.leader();
    if (leader >= 0) leader_ = leader;
    if (fault.target == Fault::kLeader) return leader_;
    return (leader_ + (fault.target == Fault::kFirstOther ? 1 : 2)) % Cluster::kNodes;
}

void Faults::inject(const Fault& fault) {
    ++begun_;
    ++open_;
    const int node = target_of(fault);
    last_target_ = node;
    world_.trace(fmt::format("FAULT {} ({}) for {:.3f} s", fault_name(fault.kind), node + 1, to_seconds(fault.lasts)));
    act(fault.kind, node, true);
    world_.scheduler.after(fault.lasts, [this, fault, node] {
        world_.trace(fmt::format("HEAL {} ({})", fault_name(fault.kind), node + 1));
        act(fault.kind, node, false);
        --open_;
    });
}

void Faults::act(FaultKind kind, int node, bool begins) {
    if (kind < FaultKind::kPauseCluster) act_on_node(kind, node, begins);
    else if (kind < FaultKind::kJumpClock) act_on_cluster(kind, node, begins);
    else act_on_controller(kind, begins);
}

void Faults::act_on_node(FaultKind kind, int node, bool begins) {
    models::Patroni& agent = cluster_.patroni(node);
    models::Postgres& server = cluster_.postgres(node);
    switch (kind) {
        case FaultKind::kKillNode:
            if (begins) kill(agent.process()), kill(server.process());
            else start(node);
            return;
        case FaultKind::kKillPostgres:
            if (begins) kill(server.process());
            return;
        case FaultKind::kKillAgent:
            if (begins) kill(agent.process());
            else start(node);
            return;
        case FaultKind::kPauseNode: pause(agent.process(), begins), pause(server.process(), begins); return;
        case FaultKind::kPausePostgres: pause(server.process(), begins); return;
        case FaultKind::kPauseAgent: pause(agent.process(), begins); return;
        case FaultKind::kCutNode: cluster_.cut(cluster_.host(node), true, true, begins); return;
        case FaultKind::kCutNodeOut: cluster_.cut(cluster_.host(node), true, false, begins); return;
        case FaultKind::kCutNodeIn: cluster_.cut(cluster_.host(node), false, true, begins); return;
        case FaultKind::kCutPath: cluster_.cut_from_controllers(cluster_.host(node), begins); return;
        case FaultKind::kSlowNode:
            cluster_.host(node).slow = begins ? world_.rng().between(50ms, 1500ms) : Duration();
            return;
        case FaultKind::kFreezePostgres:
            if (server.is_running())
                begins ? world_.processes.freeze(*server.process()) : world_.processes.thaw(*server.process());
            return;
        case FaultKind::kBreakAgent:
            cluster_.set_broken(node, begins);
            if (begins) kill(agent.process());
            else start(node);
            return;
        case FaultKind::kLosePidFiles:
            if (!begins) return;
            world_.disk.remove(agent.pid_file());
            world_.disk.remove(server.data_directory() + "/postmaster.pid");
            return;
        case FaultKind::kStartByForce:
            if (begins) cluster_.start_past_markers(node);
            return;
        case FaultKind::kKillEtcd:
            if (begins) kill(&cluster_.etcd().process(static_cast<std::size_t>(node)));
            else cluster_.etcd().restart(static_cast<std::size_t>(node));
            return;
        default: return;
    }
}

void Faults::act_on_cluster(FaultKind kind, int node, bool begins) {
    if (kind == FaultKind::kPauseCluster) cluster_.set_paused(begins);
    if (kind == FaultKind::kAskFailover) ask_failover(node, begins);
    if (kind == FaultKind::kWrongSyncKey && begins) leave_sync_key(node);
    if (kind == FaultKind::kSpoilConfig) cluster_.spoil_config(begins);
    if (kind == FaultKind::kHideLeases) cluster_.etcd().hides_leases = begins;
    if (kind == FaultKind::kDropLock && begins) {
        cluster_.etcd().store().remove(engine::actor_key("lab"));
        cluster_.etcd().publish();
    }
    if (kind == FaultKind::kMaintenance) set_window(begins);
    if (kind == FaultKind::kKillEtcdMajority) kill_etcd_but(node, begins);
}

void Faults::act_on_controller(FaultKind kind, bool begins) {
    Host& host = cluster_.controller_host(0);
    Process* process = controllers_.front()->process();
    if (kind == FaultKind::kJumpClock && begins) host.wall_offset += world_.rng().between(-1h, 1h);
    if (kind == FaultKind::kCutController) cluster_.cut(host, true, true, begins);
    if (kind == FaultKind::kPauseController) pause(process, begins);
    if (kind == FaultKind::kKillController && begins) kill(process);
    if (kind == FaultKind::kStopController && begins) controllers_.front()->stop();
}

// As patronictl and the REST interface write it. A planned one stays until its time.
void Faults::ask_failover(int node, bool begins) {
    if (!begins) return cluster_.put_key("failover", "");
    const int candidate = (node + 1) % Cluster::kNodes;
    const bool is_planned = world_.rng().chance(0.5);
    cluster_.put_key("failover", fmt::format(R"({{"leader":"{}","member":"{}"{}}})", cluster_.postgres(node).name(),
                                             cluster_.postgres(candidate).name(),
                                             is_planned ? R"(,"scheduled_at":"2026-03-01T23:00:00+00:00")" : ""));
}

// The leader's name in it is one that nobody has any more; who may be promoted stays.
void Faults::leave_sync_key(int) {
    const auto view = models::read_view(cluster_.etcd().store().keys, cluster_.settings().prefix);
    if (view.sync_standbys.empty()) return;
    cluster_.put_key("sync", fmt::format(R"({{"leader":"postgres-9","sync_standby":"{}"}})",
                                         view.sync_standbys.front()));
}

void Faults::set_window(bool begins) {
    truth_.set_window(begins);
    for (std::size_t i = 0; i < controllers_.size(); ++i) {
        const WallTime now = world_.wall_now(cluster_.controller_host(static_cast<int>(i)));
        engine::MaintenanceRecord& window = controllers_[i]->pages().windows["window"];
        const WallTime until = now + std::chrono::duration_cast<WallTime::duration>(kWindowTime);
        if (begins) window = {"window", "", "new disks", now, until, std::nullopt};
        else window.ended_at = now;
    }
}

void Faults::kill_etcd_but(int node, bool begins) {
    for (int other = 0; other < Cluster::kNodes; ++other) {
        const auto member = static_cast<std::size_t>(other);
        if (other != node) begins ? kill(&cluster_.etcd().process(member)) : cluster_.etcd().restart(member);
    }
}

void Faults::kill(Process* process) {
    if (process != nullptr) world_.processes.kill(*process);
}
void Faults::pause(Process* process, bool begins) {
    if (process != nullptr) world_.processes.signal(*process, begins ? SIGSTOP : SIGCONT);
}
void Faults::start(int node) { static_cast<void>(cluster_.start_node(fmt::format("patroni-{}", node + 1))); }

}  // namespace aeterna::sim
