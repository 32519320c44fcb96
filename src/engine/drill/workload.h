// Workload: writes on a fixed schedule along every path of a store, whatever the store does (open loop): a write that
// stalls does not delay the schedule, it makes slots late, and late slots count. Each path has its own threads.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/drill/ledger.h"

namespace aeterna::engine {

struct WorkloadSettings {
    Duration interval = std::chrono::milliseconds(25);  // between two writes of one path
    Duration timeout = std::chrono::milliseconds(1000);  // of one write
};

class Workload {
  public:
    // The ledger must outlive it. Path i of `paths` is path i of the ledger.
    Workload(std::vector<WritePath> paths, Ledger& ledger, WorkloadSettings settings, const env::Env& env);
    ~Workload();
    void start();
    // Ends after the writes that are under way.
    void stop();
    // The first failure to keep the ledger, if any.
    [[nodiscard]] std::optional<Error> ledger_error() const;
    // Slots of the schedule that could not be used because an earlier write of the path was still waiting.
    [[nodiscard]] std::uint64_t missed_slots() const { return missed_.load(); }

  private:
    void run_path(std::uint32_t path, MonoTime start, const std::stop_token& stop);

    std::vector<WritePath> paths_;
    Ledger& ledger_;
    WorkloadSettings settings_;
    const env::Env& env_;
    std::atomic<std::uint64_t> missed_{0};
    mutable std::mutex mutex_;
    std::optional<Error> error_;
    std::vector<std::unique_ptr<env::Thread>> threads_;
};

}  // namespace aeterna::engine
