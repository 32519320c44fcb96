// Policy: what serve does about an open incident. An incident that has a reaction (registry.cc) starts that runbook
// once, if the store carries the standing approval; without it, the incident says what it waits for. At most one
// execution per store at a time, each on its own thread and under the actor lock; while another one holds that lock,
// it tries again as long as the incident is open. An incident that was open while an execution of its store ran counts
// as handled by it, unless it is about another node: nothing is started twice for one outage.
//
// react() and notes() never block on the network. From one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "app/registry.h"
#include "engine/runbook/runner.h"

namespace aeterna::app {

class Policy {
  public:
    // All must outlive it.
    Policy(const OpenStack& open, engine::Journal& journal, engine::ActorLock& lock, const env::Env& env);
    // Executions are asked to stop; the journal lets the next serve resume them.
    ~Policy();
    Policy(const Policy&) = delete;
    Policy& operator=(const Policy&) = delete;

    // At start: logs faults that nobody healed and executions that did not end, and goes on with those that an
    // incident had begun.
    void take_over();
    // Starts what the open incidents ask for.
    void react(const std::vector<engine::IncidentSummary>& open_incidents,
               const std::vector<engine::StoreStatus>& stores);
    // Lines to be added to the incident's reasons: what was started, what is awaited.
    [[nodiscard]] std::vector<std::string> notes(const std::string& incident_id) const;

  private:
    // One store's hands.
    struct Slot {
        bool busy = false;
        MonoTime retry_at{};
        WallTime handled_until{};  // incidents about `subject` (or no node) opened before are handled
        std::string subject;       // the node that the last execution was about; may be empty
        std::unique_ptr<env::Thread> thread;
    };
    using Work = std::function<Result<engine::ExecutionRecord>(engine::Runner&, engine::Runbook&,
                                                               const engine::RunRequest&, const env::Context&)>;

    void consider(const engine::IncidentSummary& incident, const std::string& runbook,
                  const engine::StoreStatus* status);
    [[nodiscard]] bool is_due(const engine::IncidentSummary& incident, const std::string& subject);
    // An execution's own thread; `execution` names store, runbook, parameters and the incident as its trigger.
    void begin(const engine::ExecutionRecord& execution, Work work);
    [[nodiscard]] Result<engine::ExecutionRecord> perform(const engine::ExecutionRecord& execution, const Work& work,
                                                          const env::Context& context);
    void finish(const std::string& store, const std::string& incident_id,
                const Result<engine::ExecutionRecord>& result);
    void resume(const engine::ExecutionRecord& execution);
    // Goes on with interrupted executions whose store's hands are free; what is locked by another waits.
    void resume_pending();
    void note(const std::string& incident_id, const std::string& line);

    const OpenStack& open_;
    engine::Journal& journal_;
    engine::ActorLock& lock_;
    const env::Env& env_;
    mutable std::mutex mutex_;
    std::set<std::string> handled_;                          // incident ids
    std::map<std::string, std::vector<std::string>> notes_;  // by incident id
    std::map<std::string, Slot> slots_;                      // by store; never grows after the constructor
    std::vector<engine::ExecutionRecord> pending_;           // found interrupted, not yet gone on with
};

// The node that an incident names as the dead primary: its subject, if that is a node; else nothing.
[[nodiscard]] Json reaction_parameters(const engine::IncidentSummary& incident, const engine::StoreStatus* status);

}  // namespace aeterna::app
