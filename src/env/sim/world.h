// World: one virtual machine room: time, processes, network, disk, programs. Process environments
// (sim_env.h) look into it. A run is: build the world, run_until(), end_all(); the same seed gives
// the same run.
#pragma once

#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include "env/sim/disk.h"
#include "env/sim/network.h"
#include "env/sim/process.h"
#include "env/sim/scheduler.h"

namespace aeterna::sim {

// A program that may be run or spawned by name: does its work at once and says how it ended.
using Program =
    std::function<env::RunResult(const std::vector<std::string>& argv, Process& caller)>;

class World {
  public:
    explicit World(std::uint64_t seed);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Scheduler scheduler;
    ProcessTable processes;
    Network network;
    Disk disk;
    std::map<std::string, Program> programs;
    std::map<std::string, env::User> users;
    WallTime wall_origin = WallTime(std::chrono::seconds(1772359200));  // 2026-03-01T10:00:00Z

    [[nodiscard]] MonoTime now() const { return scheduler.now(); }
    [[nodiscard]] Rng& rng() { return scheduler.rng(); }
    // Since the world began.
    [[nodiscard]] Duration age() const { return now() - began_; }
    [[nodiscard]] WallTime wall_now(const Host& host) const;

    // One line of the story, kept only when somebody listens.
    std::function<void(const std::string&)> on_trace;
    [[nodiscard]] bool is_traced() const { return static_cast<bool>(on_trace); }
    void trace(const std::string& line);

  private:
    MonoTime began_;
};

}  // namespace aeterna::sim
