// Process and ProcessTable: virtual processes of one virtual kernel. A process lives on a host of
// the virtual network (an address), has a parent, a state as proc(5) names it, and code: fibers of
// ours, or a model that listens (network.h). Signals mean what they mean: SIGKILL and SIGSTOP can't
// be caught, and neither takes while the process is in uninterruptible sleep (D); a stopped process
// keeps its sockets, its kernel goes on answering for it.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/processes.h"
#include "env/sim/scheduler.h"

namespace aeterna::sim {

struct Call;
struct Host;

struct HeldTurn {
    Fiber* fiber = nullptr;
    std::uint64_t parking = 0;
    Wake wake = Wake::kCalled;
};

class Process {
  public:
    env::ProcessId id;
    int parent = 1;
    std::uint32_t uid = 0;
    std::string command;
    std::string working_directory = "/";
    std::vector<std::string> environment;
    Host* host = nullptr;

    std::function<void(int)>
        on_signal;  // what may be caught; without it SIGTERM, SIGINT, SIGQUIT end it
    std::vector<std::function<void()>> on_death;

    [[nodiscard]] bool is_alive() const { return state_ != 'X'; }
    [[nodiscard]] bool is_stopped() const { return state_ == 'T' || (state_ == 'D' && is_frozen_); }
    [[nodiscard]] char state() const { return state_; }
    [[nodiscard]] WallTime died_at() const { return died_at_; }
    // Runs `action` now, or when the process goes on; never when it dies before.
    void when_running(Action action);

    // The kernel's and the scheduler's book-keeping.
    std::vector<HeldTurn> held_turns;
    std::vector<std::shared_ptr<Call>> calls;  // arrived, not yet answered
    std::vector<std::stop_source> thread_stops;

  private:
    friend class ProcessTable;
    char state_ = 'S';
    bool is_frozen_ = false;     // in D for good, until thaw()
    std::vector<int> pending_;   // signals that a D state holds up
    std::vector<Action> inbox_;  // what arrived while it was stopped
    WallTime died_at_{};
};

struct ProcessOptions {
    std::string command;
    Host* host = nullptr;
    int parent = 1;
    std::uint32_t uid = 0;
    std::string working_directory = "/";
    std::vector<std::string> environment;
};

class ProcessTable {
  public:
    explicit ProcessTable(Scheduler& scheduler) : scheduler_(scheduler) {}

    // Kept until the table ends, so that references to the dead stay good.
    Process& start(ProcessOptions options);
    void signal(Process& process, int number);
    void kill(Process& process) { signal(process, SIGKILL); }
    // An orderly end by its own will.
    void exit(Process& process) { end(process); }
    // Uninterruptible sleep, as of a process on a frozen file system.
    void freeze(Process& process);
    void thaw(Process& process);

    // The living one with this pid.
    [[nodiscard]] Process* find(int pid);
    // The living, by pid; among them zombies whose parent is stopped.
    [[nodiscard]] std::vector<env::ProcessInfo> list() const;
    [[nodiscard]] static env::ProcessInfo info(const Process& process);
    [[nodiscard]] int last_pid() const { return last_pid_; }
    // What waits for an end.
    void watch_end(Process& process, FiberRef waiter);
    // Told of each signal that one process sends to another.
    std::function<void(Process& from, const Process& to, int number)> on_signal;
    // Ends everything that lives.
    void end_all();
    [[nodiscard]] Scheduler& scheduler() { return scheduler_; }

  private:
    void end(Process& process);
    void go_on(Process& process);

    Scheduler& scheduler_;
    int last_pid_ = 100;
    std::vector<std::unique_ptr<Process>> all_;
    std::map<int, Process*> living_;
    std::multimap<int, FiberRef> waiting_for_end_;  // by pid
};

}  // namespace aeterna::sim
