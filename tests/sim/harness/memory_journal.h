// MemoryJournal: engine/runbook/journal.h in memory, for one process of the simulation. What it
// keeps (JournalPages) outlives the process, as a file would. The n-th write can be the process's
// last: it dies before or after the write has become durable. Writes take the time of an fsync.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/runbook/journal.h"
#include "env/sim/world.h"

namespace aeterna::sim {

struct JournalPages {
    std::map<std::string, engine::ExecutionRecord> executions;
    std::vector<engine::StepRecord> steps;
    std::map<std::string, engine::IncidentSummary> incidents;
    std::vector<engine::StoreEvent> events;
    std::map<std::string, engine::FaultRecord> faults;
    std::map<std::string, engine::DrillRecord> drills;
    std::map<std::string, engine::MaintenanceRecord> windows;
    std::map<std::string, engine::RequestRecord> requests;
    int execution_writes = 0;  // of executions and steps
};

struct CrashPoint {
    int at_write = 0;        // 0: never; counts the writes of executions and steps
    bool is_durable = true;  // whether that write is still kept
    int stall_at_write = 0;  // the process is stopped after that one, as a suspended machine is
    Duration stall_for{};
};

class MemoryJournal final : public engine::Journal {
  public:
    MemoryJournal(World& world, Process& process, JournalPages& pages, CrashPoint crash)
        : world_(world), process_(process), pages_(pages), crash_(crash) {}

    Status put_execution(const engine::ExecutionRecord& execution) override;
    Result<std::optional<engine::ExecutionRecord>> execution(const std::string& id) override;
    Result<std::vector<engine::ExecutionRecord>> executions(std::size_t limit) override;
    Result<std::vector<engine::ExecutionRecord>> executions_of(const std::string& runbook, std::size_t limit) override;
    Status append_step(const engine::StepRecord& record) override;
    Result<std::vector<engine::StepRecord>> steps(const std::string& execution_id) override;
    Status put_incident(const engine::IncidentSummary& incident) override;
    Result<std::vector<engine::IncidentSummary>> incidents(WallTime since,
                                                           std::size_t limit) override;
    Result<std::optional<engine::IncidentSummary>> incident(const std::string& id) override;
    Result<std::vector<engine::IncidentSummary>> open_incidents() override;
    Status append_event(const engine::StoreEvent& event) override;
    Result<std::vector<engine::StoreEvent>> events(WallTime from, WallTime to) override;
    Status put_fault(const engine::FaultRecord& fault) override;
    Result<std::vector<engine::FaultRecord>> unhealed_faults() override;
    Result<std::vector<engine::FaultRecord>> faults_of(const std::string& drill_id) override;
    Status put_drill(const engine::DrillRecord& drill) override;
    Result<std::optional<engine::DrillRecord>> drill(const std::string& id) override;
    Result<std::vector<engine::DrillRecord>> drills(std::size_t limit) override;
    Status put_maintenance(const engine::MaintenanceRecord& window) override;
    Result<std::vector<engine::MaintenanceRecord>> maintenance(WallTime since) override;
    Result<std::vector<engine::DrillRecord>> unfinished_drills() override;
    // Nothing is old here.
    Result<std::size_t> prune(WallTime) override { return std::size_t{0}; }
    Status put_request(const engine::RequestRecord& request) override;
    Result<std::optional<engine::RequestRecord>> request(const std::string& id) override;
    Result<std::vector<engine::RequestRecord>> open_requests() override;

  private:
    void stall();
    template <class Write>
    Status write(bool counts, Write perform);

    World& world_;
    Process& process_;
    JournalPages& pages_;
    CrashPoint crash_;
};

}  // namespace aeterna::sim
