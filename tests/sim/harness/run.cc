#include "harness/run.h"

#include <fmt/format.h>

#include "harness/checks.h"
#include "harness/faults.h"

namespace aeterna::sim {
namespace {

constexpr Duration kBegin =
    std::chrono::milliseconds(1300);  // the controllers', once the cluster stands
constexpr Duration kOperatorEvery = std::chrono::seconds(3);
constexpr Duration kLongestRun = std::chrono::minutes(12);
constexpr Duration kRunLookEvery = std::chrono::milliseconds(250);

// One run's parts, and the faults that it does to them.
class Run {
  public:
    Run(const Schedule& schedule, const std::function<void(const std::string&)>& on_trace)
        : schedule_(schedule), world_(schedule.seed) {
        world_.on_trace = on_trace;
        cluster_ = std::make_unique<Cluster>(world_, schedule_.patroni);
        if (schedule_.nofailover >= 0) cluster_->patroni(schedule_.nofailover).nofailover = true;
        if (schedule_.supervisor_delay > Duration()) cluster_->supervise(schedule_.supervisor_delay);
        for (int i = 0; i < Cluster::kNodes; ++i) cluster_->postgres(i).slowest_recovery = schedule_.slowest_recovery;
        cluster_->unfenceable = schedule_.unfenceable;
        workload_ = std::make_unique<Workload>(*cluster_, schedule_.row_period);
        for (int i = 0; i < schedule_.controllers; ++i) {
            controllers_.push_back(std::make_unique<Controller>(*cluster_, i, schedule_.assist));
        }
        checks_ = std::make_unique<Checks>(world_, *cluster_, controllers_, schedule_.assist);
        faults_ = std::make_unique<Faults>(world_, *cluster_, controllers_, checks_->truth());
    }

    Outcome go() {
        for (std::size_t i = 0; i < controllers_.size(); ++i) {
            // Only the first one has a crash point: the second goes on when it dies.
            CrashPoint crash;
            if (i == 0) {
                crash = {schedule_.crash_at_write, schedule_.crash_is_durable, schedule_.stall_at_write,
                         schedule_.stall_for};
            }
            world_.scheduler.after(kBegin + i * 70ms,
                                   [this, i, crash] { start_controller(i, crash); });
        }
        for (const Fault& fault : schedule_.faults) {
            world_.scheduler.after(fault.at, [this, fault] { faults_->inject(fault); });
        }
        const bool settled = wait_until_settled();
        Outcome outcome;
        checks_->finish(*workload_, settled, outcome);
        outcome.virtual_time = world_.age();
        outcome.fingerprint = world_.scheduler.fingerprint();
        outcome.turns = world_.scheduler.turns();
        world_.on_trace = {};
        is_over_ = cluster_->is_over = true;
        world_.processes.end_all();
        world_.scheduler.drain();
        return outcome;
    }

  private:
    [[nodiscard]] bool are_faults_over() const {
        return faults_->open() == 0 && faults_->begun() == schedule_.faults.size();
    }

    [[nodiscard]] bool is_settled() {
        if (!are_faults_over()) return false;
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
            static_cast<void>(world_.scheduler.run_until(world_.now() + kRunLookEvery));
            calm = is_settled() ? calm + 1 : 0;
            if (calm >= 12) return true;
            const bool needs_operator = are_faults_over() && calm == 0;
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

    Schedule schedule_;
    World world_;
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Workload> workload_;
    std::vector<std::unique_ptr<Controller>> controllers_;
    std::unique_ptr<Checks> checks_;
    std::unique_ptr<Faults> faults_;
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
