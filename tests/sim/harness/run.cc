#include "harness/run.h"

#include <fmt/format.h>

#include "harness/checks.h"

namespace aeterna::sim {
namespace {

constexpr Duration kBegin =
    std::chrono::milliseconds(1300);  // the controllers', once the cluster stands
constexpr Duration kOperatorEvery = std::chrono::seconds(3);
constexpr Duration kLongestRun = std::chrono::minutes(12);
constexpr Duration kLookEvery = std::chrono::milliseconds(250);

// One run's parts, and the faults that it does to them.
class Run {
  public:
    Run(const Schedule& schedule, const std::function<void(const std::string&)>& on_trace)
        : schedule_(schedule), world_(schedule.seed) {
        world_.on_trace = on_trace;
        cluster_ = std::make_unique<Cluster>(world_, schedule_.patroni);
        if (schedule_.nofailover >= 0) cluster_->patroni(schedule_.nofailover).nofailover = true;
        workload_ = std::make_unique<Workload>(*cluster_, schedule_.row_period);
        for (int i = 0; i < schedule_.controllers; ++i) {
            controllers_.push_back(std::make_unique<Controller>(*cluster_, i, schedule_.assist));
        }
        checks_ = std::make_unique<Checks>(world_, *cluster_, controllers_);
    }

    Outcome go() {
        for (std::size_t i = 0; i < controllers_.size(); ++i) {
            // Only the first one has a crash point: the second goes on when it dies.
            const CrashPoint crash{i == 0 ? schedule_.crash_at_write : 0,
                                   schedule_.crash_is_durable};
            world_.scheduler.after(kBegin + i * 70ms,
                                   [this, i, crash] { start_controller(i, crash); });
        }
        for (const Fault& fault : schedule_.faults) {
            world_.scheduler.after(fault.at, [this, fault] { inject(fault); });
        }
        const bool settled = wait_until_settled();
        Outcome outcome;
        checks_->finish(*workload_, settled, outcome);
        outcome.virtual_time = world_.age();
        outcome.fingerprint = world_.scheduler.fingerprint();
        outcome.turns = world_.scheduler.turns();
        world_.on_trace = {};
        is_over_ = true;
        world_.processes.end_all();
        world_.scheduler.drain();
        return outcome;
    }

  private:
    [[nodiscard]] bool is_settled() {
        if (faults_open_ > 0 || faults_begun_ < schedule_.faults.size()) return false;
        if (!cluster_->is_healthy()) return false;
        for (const auto& controller : controllers_) {
            if (!controller->is_running()) return false;
            for (const auto& [id, execution] : controller->pages().executions) {
                if (execution.state == engine::ExecutionState::kRunning) return false;
            }
        }
        return true;
    }

    // At rest for a while: what was seen a moment ago may still start something.
    bool wait_until_settled() {
        int calm = 0;
        while (world_.age() < kLongestRun) {
            static_cast<void>(world_.scheduler.run_until(world_.now() + kLookEvery));
            calm = is_settled() ? calm + 1 : 0;
            if (calm >= 12) return true;
            const bool needs_operator =
                faults_open_ == 0 && faults_begun_ == schedule_.faults.size() && calm == 0;
            if (needs_operator && world_.now() >= operator_at_) {
                if (cluster_->settings().is_paused) cluster_->set_paused(false);
                lift_reported_fences();
                cluster_->start_missing();
                operator_at_ = world_.now() + kOperatorEvery;
            }
        }
        return false;
    }

    // A person reads what is reported, an incident or an execution that asks, and unfences.
    void lift_reported_fences() {
        for (const std::string& directory : cluster_->fence_directories) {
            for (const std::string& node : world_.disk.list(directory)) {
                if (!is_fence_reported(node)) continue;
                for (const std::string& holder : world_.disk.list(directory + "/" + node)) {
                    world_.trace("the operator lifts the fence of " + node + " by " + holder);
                    world_.disk.remove(directory + "/" + node + "/" + holder);
                }
            }
        }
    }

    [[nodiscard]] bool is_fence_reported(const std::string& node) {
        for (const auto& controller : controllers_) {
            for (const auto& [id, incident] : controller->pages().incidents) {
                const bool tells =
                    incident.detector == "hosts.fence_left" && incident.state == "open";
                if (tells && incident.subject == node) return true;
            }
        }
        return false;
    }

    void start_controller(std::size_t index, CrashPoint crash) {
        Controller& controller = *controllers_[index];
        if (controller.is_running()) return;
        controller.start(crash);
        controller.process()->on_death.emplace_back([this, index] {
            if (is_over_) return;
            world_.scheduler.after(schedule_.restart_after,
                                   [this, index] { start_controller(index, {}); });
        });
    }

    [[nodiscard]] int target_of(const Fault& fault) {
        if (fault.target >= 0) return fault.target;
        const int leader = cluster_->leader();
        return leader >= 0 ? leader : 0;
    }

    void inject(const Fault& fault) {
        ++faults_begun_;
        ++faults_open_;
        const int node = target_of(fault);
        world_.trace(fmt::format("FAULT {} ({}) for {:.3f} s", fault_name(fault.kind), node + 1,
                                 to_seconds(fault.lasts)));
        act(fault.kind, node, true);
        world_.scheduler.after(fault.lasts, [this, fault, node] {
            world_.trace(fmt::format("HEAL {} ({})", fault_name(fault.kind), node + 1));
            act(fault.kind, node, false);
            --faults_open_;
        });
    }

    // Begins or ends a fault.
    void act(FaultKind kind, int node, bool begins) {
        models::Patroni& agent = cluster_->patroni(node);
        models::Postgres& server = cluster_->postgres(node);
        switch (kind) {
            case FaultKind::kKillNode:
                if (begins) kill(agent.process()), kill(server.process());
                else static_cast<void>(cluster_->start_node(fmt::format("patroni-{}", node + 1)));
                return;
            case FaultKind::kKillPostgres:
                if (begins) kill(server.process());
                return;
            case FaultKind::kKillAgent:
                if (begins) kill(agent.process());
                else static_cast<void>(cluster_->start_node(fmt::format("patroni-{}", node + 1)));
                return;
            case FaultKind::kPauseNode:
                pause(agent.process(), begins), pause(server.process(), begins);
                return;
            case FaultKind::kPausePostgres: pause(server.process(), begins); return;
            case FaultKind::kPauseAgent: pause(agent.process(), begins); return;
            case FaultKind::kCutNode: cut(cluster_->host(node), true, true, begins); return;
            case FaultKind::kCutNodeOut: cut(cluster_->host(node), true, false, begins); return;
            case FaultKind::kCutNodeIn: cut(cluster_->host(node), false, true, begins); return;
            case FaultKind::kSlowNode:
                cluster_->host(node).slow =
                    begins ? world_.rng().between(50ms, 1500ms) : Duration();
                return;
            case FaultKind::kFreezePostgres:
                if (server.is_running())
                    begins ? freeze(server) : world_.processes.thaw(*server.process());
                return;
            case FaultKind::kKillEtcd:
                if (begins) kill(&cluster_->etcd().process(static_cast<std::size_t>(node)));
                else cluster_->etcd().restart(static_cast<std::size_t>(node));
                return;
            default: act_on_controller(kind, begins);
        }
    }

    void act_on_controller(FaultKind kind, bool begins) {
        Host& host = cluster_->controller_host(0);
        Process* process = controllers_.front()->process();
        if (kind == FaultKind::kJumpClock && begins)
            host.wall_offset += world_.rng().between(-1h, 1h);
        if (kind == FaultKind::kCutController) cut(host, true, true, begins);
        if (kind == FaultKind::kPauseController) pause(process, begins);
        if (kind == FaultKind::kKillController && begins) kill(process);
    }

    void kill(Process* process) {
        if (process != nullptr) world_.processes.kill(*process);
    }
    void pause(Process* process, bool begins) {
        if (process != nullptr) world_.processes.signal(*process, begins ? SIGSTOP : SIGCONT);
    }
    void freeze(models::Postgres& server) { world_.processes.freeze(*server.process()); }
    void cut(Host& host, bool out, bool in, bool begins) {
        std::vector<Host*> others = {&cluster_->application_host(), &cluster_->controller_host(0),
                                     &cluster_->controller_host(1)};
        for (int i = 0; i < Cluster::kNodes; ++i) others.push_back(&cluster_->host(i));
        for (Host* other : others) {
            if (out) begins ? world_.network.cut(host, *other) : world_.network.heal(host, *other);
            if (in) begins ? world_.network.cut(*other, host) : world_.network.heal(*other, host);
        }
    }

    Schedule schedule_;
    World world_;
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Workload> workload_;
    std::vector<std::unique_ptr<Controller>> controllers_;
    std::unique_ptr<Checks> checks_;
    std::size_t faults_begun_ = 0;
    int faults_open_ = 0;
    MonoTime operator_at_{};
    bool is_over_ = false;
};

}  // namespace

Outcome run_schedule(const Schedule& schedule,
                     const std::function<void(const std::string&)>& on_trace) {
    Run run(schedule, on_trace);
    return run.go();
}

}  // namespace aeterna::sim
