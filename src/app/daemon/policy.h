// Policy: what serve does about an open incident. An incident that has a reaction (registry.cc) starts that runbook
// once, if the store carries the standing approval; without it, the incident says what it waits for. Each execution has
// its own thread and acts under the actor lock; while another process holds that lock, it tries again as long as the
// incident is open. An incident that was open while an execution of its store ran counts as handled by it, unless it is
// about another node, or the execution was refused: nothing is started twice for one outage, the death of the next
// primary waits for nobody, and a master that came back empty while its death was looked into is not left alone.
//
// While a maintenance window holds, nothing is begun or gone on with; what is still open when it ends, is begun then.
//
// react() and notes() never block on the network or the disk. From one thread at a time.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "app/daemon/assist.h"
#include "app/daemon/orders.h"
#include "app/registry.h"
#include "engine/runbook/runner.h"

namespace aeterna::app {

inline constexpr std::string_view kReconcile = "reconcile";

class Policy {
  public:
    // All must outlive it.
    Policy(const OpenStack& open, engine::Journal& journal, engine::ActorLock& lock, const env::Env& env);
    // Executions are asked to stop; the journal lets the next serve resume them.
    ~Policy();
    Policy(const Policy&) = delete;
    Policy& operator=(const Policy&) = delete;

    // At start: logs faults that nobody healed and executions that did not end, and goes on with those that an
    // incident had begun. Those are the result.
    std::vector<engine::ExecutionRecord> take_over();
    // Starts what the open incidents ask for. `orders` may be a little old: an execution reads them again before it
    // begins.
    void react(const std::vector<engine::IncidentSummary>& open_incidents,
               const std::vector<engine::StoreStatus>& stores, const Orders& orders);
    // Lines to be added to the incident's reasons: what was started, what is awaited.
    [[nodiscard]] std::vector<std::string> notes(const std::string& incident_id) const;

  private:
    // One execution and its thread.
    struct Hand {
        std::string node;  // the primary that was lost; empty = not known
        bool busy = true;
        std::unique_ptr<env::Thread> thread;
    };
    struct Slot {
        std::list<Hand> hands;
        // By lost node: incidents opened before are handled.
        std::map<std::string, WallTime> handled_until;
        std::string last_primary;
    };
    struct Wanted {
        engine::ExecutionRecord execution;  // store, runbook, parameters and the incident as its trigger
        engine::IncidentSummary incident;
        std::string primary;  // that is lost, as far as known
    };
    struct Leave {
        bool is_approved = false;
        config::Assist assist = config::Assist::kOff;
        std::string note;
        std::string refusal;  // a maintenance window, in words; else empty
    };
    using Work = std::function<Result<engine::ExecutionRecord>(engine::Runner&, engine::Runbook&,
                                                               const engine::RunRequest&, const env::Context&)>;

    void consider(const engine::IncidentSummary& incident, const std::string& runbook,
                  const engine::StoreStatus* status, const Orders& orders);
    [[nodiscard]] Leave leave_for(const Wanted& wanted, const Orders& orders) const;
    [[nodiscard]] bool is_due(const engine::IncidentSummary& incident, const std::string& node);
    void await_approval(const engine::IncidentSummary& incident, const std::string& runbook);
    void hold_back(const engine::IncidentSummary& incident, const std::string& refusal);
    // An execution's own thread.
    void begin(const engine::ExecutionRecord& execution, const std::string& node,
               std::function<Result<engine::ExecutionRecord>(const env::Context&)> work);
    // With the orders of this very moment.
    [[nodiscard]] Result<engine::ExecutionRecord> perform_new(const Wanted& wanted, const env::Context& context);
    [[nodiscard]] Result<engine::ExecutionRecord> perform(const engine::ExecutionRecord& execution, const Work& work,
                                                          const env::Context& context);
    void finish(const std::string& store, Hand& hand, const std::string& incident_id,
                const Result<engine::ExecutionRecord>& result);
    void remember(const engine::ExecutionRecord& execution);
    [[nodiscard]] Result<engine::ExecutionRecord> resume(const engine::ExecutionRecord& execution,
                                                         const env::Context& context);
    // Goes on with interrupted executions whose store's hands are free; what is locked by another waits.
    void resume_pending(const Orders& orders);
    void note_latest(const std::string& incident_id, const std::string& line, std::string_view mark);
    void note_proposal(const std::string& incident_id, const engine::StepRecord& record);
    bool note(const std::string& incident_id, const std::string& line);  // true when it is new

    const OpenStack& open_;
    engine::Journal& journal_;
    engine::ActorLock& lock_;
    const env::Env& env_;
    mutable std::mutex mutex_;
    std::set<std::string> handled_;                          // incident ids
    std::map<std::string, std::vector<std::string>> notes_;  // by incident id
    std::map<std::string, MonoTime> retry_at_;               // by incident id
    std::map<std::string, Duration> reconcile_again_;        // by incident id: after the next try that ends nothing
    std::map<std::string, std::string> primaries_;           // by incident id: who was primary when it was first seen
    std::map<std::string, Slot> slots_;                      // by store; never grows after the constructor
    std::vector<engine::ExecutionRecord> pending_;           // found interrupted, not yet gone on with
    std::vector<AssistedFailure> assisted_;                  // of the longest cooldown, newest last
};

// The primary that an execution is about, as its parameters or its facts say; empty when neither does.
[[nodiscard]] std::string lost_node(const engine::ExecutionRecord& execution);

// The id of the incident that has begun it; only of such a one.
[[nodiscard]] std::string incident_of(const engine::ExecutionRecord& execution);

// One that was refused because the primary answers has done nothing about what that came back without, and the end of a
// division is none: the death of its master is still to be dealt with.
[[nodiscard]] bool has_dealt_with_outage(const engine::ExecutionRecord& execution);

// Nobody else ends a division: as long as it lasts, and no person is asked, it is tried again.
[[nodiscard]] bool is_tried_again(const engine::ExecutionRecord& execution);

// The node that an incident names as the dead primary: its subject, if that is a node; else nothing.
[[nodiscard]] Json reaction_parameters(const engine::IncidentSummary& incident, const engine::StoreStatus* status);

}  // namespace aeterna::app
