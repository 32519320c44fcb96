#include "harness/run.h"

#include <fmt/format.h>

#include "harness/checks.h"
#include "harness/faults.h"

namespace aeterna::sim {
namespace {

constexpr Duration kLongestRun = std::chrono::minutes(12);

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
        crew_ = std::make_unique<Crew>(world_, *cluster_, plan());
        checks_ = std::make_unique<Checks>(world_, *cluster_, *crew_, schedule_.assist);
        faults_ = std::make_unique<Faults>(world_, *cluster_, crew_->controllers(), checks_->truth());
    }

    Outcome go() {
        crew_->start();
        for (const Fault& fault : schedule_.faults) {
            world_.scheduler.after(fault.at, [this, fault] { faults_->inject(fault); });
        }
        const bool settled =
            crew_->wait_for_rest({[this] { return are_faults_over(); }, [this] { return cluster_->is_healthy(); },
                                  [this] { help(); }, kLongestRun});
        Outcome outcome;
        checks_->finish(*workload_, settled, outcome);
        outcome.virtual_time = world_.age();
        outcome.fingerprint = world_.scheduler.fingerprint();
        outcome.turns = world_.scheduler.turns();
        world_.on_trace = {};
        crew_->end();
        cluster_->is_over = true;
        world_.processes.end_all();
        world_.scheduler.drain();
        return outcome;
    }

  private:
    [[nodiscard]] CrewPlan plan() const {
        const CrashPoint crash{schedule_.crash_at_write, schedule_.crash_is_durable, schedule_.stall_at_write,
                               schedule_.stall_for};
        return {schedule_.controllers, schedule_.assist, crash, schedule_.restart_after,
                schedule_.approves_after.value_or(approval_of(schedule_.seed, schedule_.assist)), schedule_.slow_marker, schedule_.slow_marker_number};
    }

    [[nodiscard]] bool are_faults_over() const {
        return faults_->open() == 0 && faults_->begun() == schedule_.faults.size();
    }

    void help() {
        if (cluster_->settings().is_paused) cluster_->set_paused(false);
        crew_->lift_reported_fences();
        cluster_->start_missing();
    }

    Schedule schedule_;
    World world_;
    std::unique_ptr<Cluster> cluster_;
    std::unique_ptr<Workload> workload_;
    std::unique_ptr<Crew> crew_;
    std::unique_ptr<Checks> checks_;
    std::unique_ptr<Faults> faults_;
};

}  // namespace

Outcome run_schedule(const Schedule& schedule,
                     const std::function<void(const std::string&)>& on_trace) {
    Run run(schedule, on_trace);
    return run.go();
}

}  // namespace aeterna::sim
