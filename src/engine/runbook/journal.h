// Journal: what was intended, done and seen, durable before anything is touched. One SQLite file per stack
// (sqlite_journal.cc), shared by `serve` and the commands; the simulation brings its own.
// Every put/append is durable when it returns. Errors: kIo, kLocked (busy beyond 5 s).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"
#include "engine/detect/monitor.h"
#include "engine/status.h"

namespace aeterna::engine {

enum class ExecutionState {
    kRunning, kAwaitingApproval, kSucceeded, kFailed, kRefused, kUnknown, kAborted,
};
[[nodiscard]] std::string_view execution_state_name(ExecutionState state);
[[nodiscard]] Result<ExecutionState> execution_state_from_name(std::string_view name);

struct ExecutionRecord {
    std::string id;  // "exec-20261123T101500Z-3f2a": sorts by time
    std::string runbook;
    std::string store;
    Json parameters = Json::object();
    std::string trigger;  // "cli", "incident:<id>", "drill:<id>"
    ExecutionState state = ExecutionState::kRunning;
    WallTime started_at{};
    std::optional<WallTime> ended_at;
    std::size_t next_step = 0;      // index of the first step that is not done
    Json facts = Json::object();
    std::string summary;            // the outcome or the proposal, one line
    std::optional<Error> error;
};

struct StepRecord {
    std::string execution_id;
    std::size_t index = 0;
    std::string step;
    std::string phase;    // check apply verify undo progress
    std::string outcome;  // started done skipped failed unknown refused awaiting_approval note proposed approved
    Effect effect = Effect::kNone;
    WallTime at{};
    std::string detail;
};

// The inverse of a fault, written before the fault is injected.
struct FaultRecord {
    std::string id;
    std::string drill_id;
    std::string store;
    std::string kind;   // kill | pause
    std::string state;  // intended | injected | healed
    Json inverse = Json::object();  // what heal needs: host, nodes, processes
    WallTime at{};
};

struct DrillRecord {
    std::string id;
    std::string drill;  // "q1"
    // running; ending (measured as far as it will be, what the workload left is being removed); finished; aborted.
    std::string state;
    WallTime started_at{};
    std::optional<WallTime> ended_at;
    Json parameters = Json::object();
    Json scorecard;  // the contract's JSON once finished
};

// A time in which policy begins nothing. It ends by itself at `until`, or earlier by a person's hand.
struct MaintenanceRecord {
    std::string id;
    std::string store;  // empty = every store
    std::string reason;
    WallTime started_at{};
    WallTime until{};
    std::optional<WallTime> ended_at;
    [[nodiscard]] bool holds(WallTime now) const { return !ended_at && now < until; }
    [[nodiscard]] bool is_about(const std::string& a_store) const { return store.empty() || store == a_store; }
};

// What a person asks of a process that runs (requests.h).
struct RequestRecord {
    std::string id;
    std::string kind;       // incident.ack | incident.close | drill.abort | execution.approve
    std::string subject;    // the incident's, drill's or execution's id
    std::string requester;  // a user's name, for the record
    WallTime at{};
    Json answer;  // null until it is answered; then {"summary"} or an error as error_to_json writes it
};

class Journal {
  public:
    virtual ~Journal() = default;

    virtual Status put_execution(const ExecutionRecord& execution) = 0;  // insert or replace
    [[nodiscard]] virtual Result<std::optional<ExecutionRecord>> execution(const std::string& id) = 0;
    // Newest first.
    [[nodiscard]] virtual Result<std::vector<ExecutionRecord>> executions(std::size_t limit) = 0;
    // Of one runbook, newest first.
    [[nodiscard]] virtual Result<std::vector<ExecutionRecord>> executions_of(const std::string& runbook, std::size_t limit) = 0;
    virtual Status append_step(const StepRecord& record) = 0;
    [[nodiscard]] virtual Result<std::vector<StepRecord>> steps(const std::string& execution_id) = 0;

    virtual Status put_incident(const IncidentSummary& incident) = 0;
    // Newest first; only those open or closed at or after `since`.
    [[nodiscard]] virtual Result<std::vector<IncidentSummary>> incidents(WallTime since, std::size_t limit) = 0;

    [[nodiscard]] virtual Result<std::optional<IncidentSummary>> incident(const std::string& id) = 0;
    // All of them, newest first.
    [[nodiscard]] virtual Result<std::vector<IncidentSummary>> open_incidents() = 0;

    virtual Status append_event(const StoreEvent& event) = 0;
    // Oldest first, both ends included.
    [[nodiscard]] virtual Result<std::vector<StoreEvent>> events(WallTime from, WallTime to) = 0;

    virtual Status put_fault(const FaultRecord& fault) = 0;
    [[nodiscard]] virtual Result<std::vector<FaultRecord>> unhealed_faults() = 0;
    // Healed ones too, oldest first.
    [[nodiscard]] virtual Result<std::vector<FaultRecord>> faults_of(const std::string& drill_id) = 0;

    virtual Status put_drill(const DrillRecord& drill) = 0;
    [[nodiscard]] virtual Result<std::optional<DrillRecord>> drill(const std::string& id) = 0;
    [[nodiscard]] virtual Result<std::vector<DrillRecord>> drills(std::size_t limit) = 0;
    // Running or ending ones, oldest first. While the drill lock is free, these are the dead.
    [[nodiscard]] virtual Result<std::vector<DrillRecord>> unfinished_drills() = 0;

    virtual Status put_maintenance(const MaintenanceRecord& window) = 0;
    // Newest first; only those that held at `since` or later.
    [[nodiscard]] virtual Result<std::vector<MaintenanceRecord>> maintenance(WallTime since) = 0;

    // Removes what ended before `before` and is evidence of nothing that is kept: drills stay for ever, with every
    // event, incident and execution of their time; so does what is open, unfinished or not healed, with its events.
    // Returns how many records went; removes at most some thousands at a time and is to be repeated until nothing goes.
    [[nodiscard]] virtual Result<std::size_t> prune(WallTime before) = 0;

    virtual Status put_request(const RequestRecord& request) = 0;  // insert or replace
    [[nodiscard]] virtual Result<std::optional<RequestRecord>> request(const std::string& id) = 0;
    // Those that nobody has answered yet, oldest first.
    [[nodiscard]] virtual Result<std::vector<RequestRecord>> open_requests() = 0;
};

// Creates the file (0600) and its directory (0700) when missing. A journal written by a newer version is refused
// with kConfiguration.
[[nodiscard]] Result<std::unique_ptr<Journal>> open_sqlite_journal(const std::string& path);

// The journal of a stack lies in its state directory.
[[nodiscard]] inline std::string journal_file(const std::string& state_directory) {
    return state_directory + "/journal.sqlite";
}

// "<prefix>-20261123T101500Z-3f2a".
[[nodiscard]] std::string make_record_id(std::string_view prefix, WallTime now, std::uint64_t random);
inline constexpr std::string_view kExecutionPrefix = "exec";  // of an execution's id

}  // namespace aeterna::engine
