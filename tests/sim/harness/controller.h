// Controller: one aeterna-dr serve in the simulation: the program's own serve() with its judge,
// policy, runner, stores and executor, over a SimEnv and a MemoryJournal. It can die at a journal
// write; restart() brings it back with the same journal and state directory, as systemd would.
#pragma once

#include <memory>
#include <string>

#include "app/registry.h"
#include "env/sim/sim_env.h"
#include "harness/memory_journal.h"
#include "harness/site.h"

namespace aeterna::sim {

class Controller {
  public:
    Controller(Site& site, int number, std::string assist);

    void start(CrashPoint crash);
    void stop();  // an orderly end is asked for
    [[nodiscard]] bool is_running() const { return process_ != nullptr && process_->is_alive(); }
    [[nodiscard]] Process* process() const { return process_; }
    [[nodiscard]] JournalPages& pages() { return pages_; }
    [[nodiscard]] const JournalPages& pages() const { return pages_; }
    [[nodiscard]] MonoTime started_at() const { return started_at_; }
    [[nodiscard]] bool owns(const Process& process) const;
    [[nodiscard]] std::string state_directory() const { return state_directory_; }
    // Why it could not run; empty when it could.
    [[nodiscard]] const std::string& failure() const { return failure_; }

  private:
    // One life: all that the process's fibers use.
    struct Life {
        Life(World& world, Process& process, JournalPages& pages, CrashPoint crash)
            : env(world, process), journal(world, process, pages, crash) {}
        SimEnv env;
        MemoryJournal journal;
        std::unique_ptr<app::OpenStack> open;
        std::stop_source stop;
    };
    void run(Life& life);

    Site& site_;
    int number_;
    std::string state_directory_;
    std::string stack_path_;
    JournalPages pages_;
    Process* process_ = nullptr;
    MonoTime started_at_{};
    std::vector<std::unique_ptr<Life>> lives_;
    std::vector<const Process*> processes_;
    std::string failure_;
};

}  // namespace aeterna::sim
