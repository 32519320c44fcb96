// Crew: the controllers of one run. Each is started again after its death; the first one can have a crash point. And
// the person behind them, who reads what is reported, says yes to what is proposed, and lifts the fences that are left.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/controller.h"

namespace aeterna::sim {

struct CrewPlan {
    int controllers = 1;
    std::string assist;  // off, propose or act
    CrashPoint crash;    // of the first one: the second goes on when it dies
    Duration restart_after = std::chrono::seconds(2);
    Duration approves_after{};  // how long a proposal has stood when the person says yes; zero: never
    Duration slow_marker{};     // that long the disk takes for one marker of a fence
    int slow_marker_number = 1;
};

// With assist 'propose' every second seed has a person who says yes within seconds. Of the seed alone: what else is drawn stays.
[[nodiscard]] Duration approval_of(std::uint64_t seed, const std::string& assist);

class Crew {
  public:
    Crew(World& world, Site& site, CrewPlan plan);
    [[nodiscard]] std::vector<std::unique_ptr<Controller>>& controllers() { return controllers_; }
    void start();
    // Nobody is started again.
    void end() { is_over_ = true; }
    // They run, and no execution of theirs does.
    [[nodiscard]] bool is_at_rest() const;
    // Until the faults are over, the servers are healthy and the controllers at rest, for a while: what was seen a
    // moment ago may still start something. Where that does not come about, `help` is called each 3 s: what a person
    // does. False at the age of `longest`.
    struct Rest {
        std::function<bool()> are_faults_over, is_healthy;
        std::function<void()> help;
        Duration longest{};
    };
    [[nodiscard]] bool wait_for_rest(const Rest& rest);
    // An incident or an execution that asks tells of it.
    void lift_reported_fences();
    // Fences that nobody tells of.
    [[nodiscard]] std::vector<std::string> untold_fences();
    // Controllers that could not run, and executions that neither ended nor ask.
    [[nodiscard]] std::vector<std::string> unfinished() const;
    // By an execution of that runbook, that has ended so.
    [[nodiscard]] bool is_person_asked(const std::string& runbook) const;
    [[nodiscard]] int executions() const;
    // The person has said yes to that execution of the controller, which has answered that it takes it.
    [[nodiscard]] bool has_approved(int controller, const std::string& execution) const;
    // How long the disk took for that marker.
    [[nodiscard]] Duration marker_took(const std::string& node, const std::string& holder) const;
    // The disk under a marker has stood still since then.
    [[nodiscard]] bool has_disk_stood_still(MonoTime since) const { return slow_marker_ends_ >= since; }
    // It runs and is not stopped.
    [[nodiscard]] bool is_at_work(int controller) const;
    // The controller that the process is, or was.
    [[nodiscard]] int owner(const Process& process) const;

  private:
    void start(std::size_t index, CrashPoint crash);
    [[nodiscard]] bool is_reported(const std::string& node) const;
    void approve_proposals();
    void slow_down_marker();

    World& world_;
    Site& site_;
    CrewPlan plan_;
    std::vector<std::unique_ptr<Controller>> controllers_;
    std::map<std::string, MonoTime> proposed_since_;  // by execution
    std::string slow_marker_;                         // its path
    MonoTime slow_marker_ends_ = MonoTime::min();
    int markers_ = 0;
    bool is_over_ = false;
};

}  // namespace aeterna::sim
