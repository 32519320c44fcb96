// The journal in one SQLite file: WAL mode and synchronous=FULL, so a statement that returned is on the disk. Several
// processes and threads use it at once: one mutex per connection, SQLite's own locks between connections, each write
// one transaction. Instants are microseconds since the Unix epoch, structures are JSON text.
#include <mutex>

#include "engine/runbook/journal.h"
#include "engine/runbook/records.h"
#include "engine/runbook/sqlite.h"
#include "engine/runbook/sqlite_retention.h"
#include "engine/runbook/sqlite_schema.h"

namespace aeterna::engine {
namespace {

using sqlite::Connection;
using sqlite::Statement;

constexpr const char* kExecutionById =
    "SELECT id, runbook, store, parameters, trigger, state, started_at, ended_at, next_step, facts, summary, error"
    " FROM executions WHERE id = ?";
constexpr const char* kExecutions =
    "SELECT id, runbook, store, parameters, trigger, state, started_at, ended_at, next_step, facts, summary, error"
    " FROM executions ORDER BY started_at DESC, id DESC LIMIT ?";
constexpr const char* kExecutionsOf =
    "SELECT id, runbook, store, parameters, trigger, state, started_at, ended_at, next_step, facts, summary, error"
    " FROM executions WHERE runbook = ? ORDER BY started_at DESC, id DESC LIMIT ?";
constexpr const char* kDrillById =
    "SELECT id, drill, state, started_at, ended_at, parameters, scorecard FROM drills WHERE id = ?";
constexpr const char* kDrills =
    "SELECT id, drill, state, started_at, ended_at, parameters, scorecard FROM drills"
    " ORDER BY started_at DESC, id DESC LIMIT ?";
constexpr const char* kUnfinishedDrills =
    "SELECT id, drill, state, started_at, ended_at, parameters, scorecard FROM drills"
    " WHERE state IN ('running', 'ending') ORDER BY started_at, id";

Result<ExecutionRecord> read_execution(const Statement& row) {
    ExecutionRecord record;
    record.id = row.text(0);
    record.runbook = row.text(1);
    record.store = row.text(2);
    AETERNA_ASSIGN(record.parameters, parse_json(row.text(3), "the journal's parameters"));
    record.trigger = row.text(4);
    AETERNA_ASSIGN(record.state, execution_state_from_name(row.text(5)));
    record.started_at = row.time(6);
    record.ended_at = row.optional_time(7);
    record.next_step = static_cast<std::size_t>(row.number(8));
    AETERNA_ASSIGN(record.facts, parse_json(row.text(9), "the journal's facts"));
    record.summary = row.text(10);
    AETERNA_ASSIGN(const Json error, parse_json(row.text(11), "the journal's error"));
    record.error = error_from_json(error);
    return record;
}

Result<DrillRecord> read_drill(const Statement& row) {
    DrillRecord record;
    record.id = row.text(0);
    record.drill = row.text(1);
    record.state = row.text(2);
    record.started_at = row.time(3);
    record.ended_at = row.optional_time(4);
    AETERNA_ASSIGN(record.parameters, parse_json(row.text(5), "the journal's parameters"));
    AETERNA_ASSIGN(record.scorecard, parse_json(row.text(6), "the journal's scorecard"));
    return record;
}

Result<StepRecord> read_step(const Statement& row) {
    StepRecord record;
    record.execution_id = row.text(0);
    record.index = static_cast<std::size_t>(row.number(1));
    record.step = row.text(2);
    record.phase = row.text(3);
    record.outcome = row.text(4);
    record.effect = effect_from_name(row.text(5));
    record.at = row.time(6);
    record.detail = row.text(7);
    return record;
}

Result<IncidentSummary> read_incident(const Statement& row) {
    IncidentSummary incident;
    incident.id = row.text(0);
    incident.detector = row.text(1);
    incident.store = row.text(2);
    incident.subject = row.text(3);
    incident.severity = row.text(4);
    incident.state = row.text(5);
    incident.summary = row.text(6);
    AETERNA_ASSIGN(const Json reasons, parse_json(row.text(7), "the journal's reasons"));
    for (const Json& reason : reasons) {
        if (reason.is_string()) incident.reasons.push_back(reason.get<std::string>());
    }
    incident.opened_at = row.time(8);
    incident.closed_at = row.optional_time(9);
    incident.acknowledged_at = row.optional_time(10);
    incident.acknowledged_by = row.text(11);
    return incident;
}

Result<StoreEvent> read_event(const Statement& row) {
    return StoreEvent{row.time(0), row.text(1), row.text(2), row.text(3), row.text(4)};
}

Result<FaultRecord> read_fault(const Statement& row) {
    FaultRecord fault{row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), Json(), row.time(6)};
    AETERNA_ASSIGN(fault.inverse, parse_json(row.text(5), "the journal's inverse"));
    return fault;
}

Result<MaintenanceRecord> read_maintenance(const Statement& row) {
    return MaintenanceRecord{row.text(0), row.text(1), row.text(2), row.time(3), row.time(4), row.optional_time(5)};
}

Result<RequestRecord> read_request(const Statement& row) {
    RequestRecord request{row.text(0), row.text(1), row.text(2), row.text(3), row.time(4), Json()};
    AETERNA_ASSIGN(request.answer, parse_json(row.text(5), "the journal's answer"));
    return request;
}

// All rows through `read`.
template <class Record>
Result<std::vector<Record>> read_all(Statement& statement, Result<Record> (*read)(const Statement&)) {
    std::vector<Record> records;
    while (true) {
        AETERNA_ASSIGN(const bool has_row, statement.step());
        if (!has_row) return records;
        AETERNA_ASSIGN(Record record, read(statement));
        records.push_back(std::move(record));
    }
}

template <class Record>
Result<std::optional<Record>> read_one(Statement& statement, Result<Record> (*read)(const Statement&)) {
    AETERNA_ASSIGN(const bool has_row, statement.step());
    if (!has_row) return std::optional<Record>();
    AETERNA_ASSIGN(Record record, read(statement));
    return std::optional<Record>(std::move(record));
}

std::int64_t as_limit(std::size_t limit) {
    return limit > static_cast<std::size_t>(INT64_MAX) ? INT64_MAX : static_cast<std::int64_t>(limit);
}

class SqliteJournal final : public Journal {
  public:
    explicit SqliteJournal(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

    Status put_execution(const ExecutionRecord& r) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("INSERT OR REPLACE INTO executions VALUES"
                                                               " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(r.id).bind(r.runbook).bind(r.store).bind(dump_json(r.parameters)).bind(r.trigger);
        statement.bind(std::string(execution_state_name(r.state))).bind(r.started_at).bind(r.ended_at);
        statement.bind(static_cast<std::int64_t>(r.next_step)).bind(dump_json(r.facts)).bind(r.summary);
        statement.bind(dump_json(r.error ? error_to_json(*r.error) : Json(nullptr)));
        return statement.run();
    }

    Result<std::optional<ExecutionRecord>> execution(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kExecutionById));
        return read_one(statement.bind(id), read_execution);
    }

    Result<std::vector<ExecutionRecord>> executions(std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kExecutions));
        return read_all(statement.bind(as_limit(limit)), read_execution);
    }

    Result<std::vector<ExecutionRecord>> executions_of(const std::string& runbook, std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kExecutionsOf));
        return read_all(statement.bind(runbook).bind(as_limit(limit)), read_execution);
    }

    Status append_step(const StepRecord& r) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("INSERT INTO steps (execution_id, position, step, phase, outcome,"
                                                 " effect, at, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(r.execution_id).bind(static_cast<std::int64_t>(r.index)).bind(r.step).bind(r.phase);
        statement.bind(r.outcome).bind(std::string(effect_name(r.effect))).bind(r.at).bind(r.detail);
        return statement.run();
    }

    Result<std::vector<StepRecord>> steps(const std::string& execution_id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT execution_id, position, step, phase, outcome, effect, at,"
                                                 " detail FROM steps WHERE execution_id = ? ORDER BY sequence"));
        return read_all(statement.bind(execution_id), read_step);
    }

    Status put_incident(const IncidentSummary& i) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("INSERT OR REPLACE INTO incidents VALUES"
                                                               " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(i.id).bind(i.detector).bind(i.store).bind(i.subject).bind(i.severity).bind(i.state);
        statement.bind(i.summary).bind(dump_json(Json(i.reasons))).bind(i.opened_at).bind(i.closed_at);
        return statement.bind(i.acknowledged_at).bind(i.acknowledged_by).run();
    }

    Result<std::vector<IncidentSummary>> incidents(WallTime since, std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM incidents WHERE closed_at IS NULL OR closed_at >= ?"
                                                 " ORDER BY opened_at DESC, id DESC LIMIT ?"));
        return read_all(statement.bind(since).bind(as_limit(limit)), read_incident);
    }

    Result<std::optional<IncidentSummary>> incident(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("SELECT * FROM incidents WHERE id = ?"));
        return read_one(statement.bind(id), read_incident);
    }

    Result<std::vector<IncidentSummary>> open_incidents() override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("SELECT * FROM incidents WHERE closed_at IS NULL"
                                                               " ORDER BY opened_at DESC, id DESC"));
        return read_all(statement, read_incident);
    }

    Status append_event(const StoreEvent& e) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("INSERT INTO events (at, store, kind, subject, detail)"
                                                               " VALUES (?, ?, ?, ?, ?)"));
        return statement.bind(e.at).bind(e.store).bind(e.kind).bind(e.subject).bind(e.detail).run();
    }

    Result<std::vector<StoreEvent>> events(WallTime from, WallTime to) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("SELECT at, store, kind, subject, detail FROM events"
                                                               " WHERE at BETWEEN ? AND ? ORDER BY at, sequence"));
        return read_all(statement.bind(from).bind(to), read_event);
    }

    Status put_fault(const FaultRecord& f) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(f.id).bind(f.drill_id).bind(f.store).bind(f.kind).bind(f.state);
        return statement.bind(dump_json(f.inverse)).bind(f.at).run();
    }

    Result<std::vector<FaultRecord>> unhealed_faults() override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM faults WHERE state <> 'healed' ORDER BY at, id"));
        return read_all(statement, read_fault);
    }

    Result<std::vector<FaultRecord>> faults_of(const std::string& drill_id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM faults WHERE drill_id = ? ORDER BY at, id"));
        return read_all(statement.bind(drill_id), read_fault);
    }

    Status put_drill(const DrillRecord& d) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("INSERT OR REPLACE INTO drills VALUES (?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(d.id).bind(d.drill).bind(d.state).bind(d.started_at).bind(d.ended_at);
        return statement.bind(dump_json(d.parameters)).bind(dump_json(d.scorecard)).run();
    }

    Result<std::optional<DrillRecord>> drill(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kDrillById));
        return read_one(statement.bind(id), read_drill);
    }

    Result<std::vector<DrillRecord>> drills(std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kDrills));
        return read_all(statement.bind(as_limit(limit)), read_drill);
    }

    Status put_maintenance(const MaintenanceRecord& m) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("INSERT OR REPLACE INTO maintenance VALUES (?, ?, ?, ?, ?, ?)"));
        statement.bind(m.id).bind(m.store).bind(m.reason).bind(m.started_at).bind(m.until).bind(m.ended_at);
        return statement.run();
    }

    Result<std::vector<MaintenanceRecord>> maintenance(WallTime since) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM maintenance WHERE COALESCE(ended_at, until) >= ?"
                                                 " ORDER BY started_at DESC, id DESC"));
        return read_all(statement.bind(since), read_maintenance);
    }

    Result<std::vector<DrillRecord>> unfinished_drills() override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare(kUnfinishedDrills));
        return read_all(statement, read_drill);
    }

    Status put_request(const RequestRecord& r) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?)"));
        statement.bind(r.id).bind(r.kind).bind(r.subject).bind(r.requester).bind(r.at);
        return statement.bind(dump_json(r.answer)).run();
    }

    Result<std::optional<RequestRecord>> request(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_, connection_->prepare("SELECT * FROM requests WHERE id = ?"));
        return read_one(statement.bind(id), read_request);
    }

    Result<std::vector<RequestRecord>> open_requests() override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM requests WHERE answer = 'null' ORDER BY at, id"));
        return read_all(statement, read_request);
    }

    Result<std::size_t> prune(WallTime before) override {
        const std::lock_guard lock(mutex_);
        return sqlite::prune_journal(*connection_, before);
    }

  private:
    std::mutex mutex_;
    std::unique_ptr<Connection> connection_;
};

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite_journal(const std::string& path) {
    AETERNA_ASSIGN(std::unique_ptr<Connection> connection, sqlite::open_journal_file(path));
    return std::unique_ptr<Journal>(std::make_unique<SqliteJournal>(std::move(connection)));
}

}  // namespace aeterna::engine
