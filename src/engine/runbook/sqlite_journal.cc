// The journal in one SQLite file: WAL mode and synchronous=FULL, so a statement that returned is on the disk. Several
// processes and threads use it at once: one mutex per connection, SQLite's own locks between connections, each write
// one transaction. Instants are microseconds since the Unix epoch, structures are JSON text. The schema's number is
// SQLite's user_version; a file of a newer version is refused.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "engine/runbook/journal.h"
#include "engine/runbook/records.h"
#include "engine/runbook/sqlite.h"

namespace aeterna::engine {
namespace {

using sqlite::Connection;
using sqlite::Statement;

constexpr std::int64_t kSchemaVersion = 1;
constexpr const char* kSchema = R"sql(
CREATE TABLE executions (
    id TEXT PRIMARY KEY, runbook TEXT NOT NULL, store TEXT NOT NULL, parameters TEXT NOT NULL,
    trigger TEXT NOT NULL, state TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER,
    next_step INTEGER NOT NULL, facts TEXT NOT NULL, summary TEXT NOT NULL, error TEXT NOT NULL);
CREATE INDEX executions_started ON executions (started_at);
CREATE TABLE steps (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, execution_id TEXT NOT NULL, position INTEGER NOT NULL,
    step TEXT NOT NULL, phase TEXT NOT NULL, outcome TEXT NOT NULL, effect TEXT NOT NULL,
    at INTEGER NOT NULL, detail TEXT NOT NULL);
CREATE INDEX steps_execution ON steps (execution_id);
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, detector TEXT NOT NULL, store TEXT NOT NULL, subject TEXT NOT NULL,
    severity TEXT NOT NULL, state TEXT NOT NULL, summary TEXT NOT NULL, reasons TEXT NOT NULL,
    opened_at INTEGER NOT NULL, closed_at INTEGER);
CREATE INDEX incidents_opened ON incidents (opened_at);
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, store TEXT NOT NULL,
    kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX events_at ON events (at);
CREATE TABLE faults (
    id TEXT PRIMARY KEY, drill_id TEXT NOT NULL, store TEXT NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL, inverse TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE drills (
    id TEXT PRIMARY KEY, drill TEXT NOT NULL, state TEXT NOT NULL, started_at INTEGER NOT NULL,
    ended_at INTEGER, parameters TEXT NOT NULL, scorecard TEXT NOT NULL);
CREATE INDEX drills_started ON drills (started_at);
PRAGMA user_version = 1;
)sql";

// Added without a new schema number: what does not know the table, does not miss it.
constexpr const char* kMaintenanceTable = R"sql(
CREATE TABLE IF NOT EXISTS maintenance (
    id TEXT PRIMARY KEY, store TEXT NOT NULL, reason TEXT NOT NULL, started_at INTEGER NOT NULL,
    until INTEGER NOT NULL, ended_at INTEGER);
)sql";

constexpr const char* kExecutionById =
    "SELECT id, runbook, store, parameters, trigger, state, started_at, ended_at, next_step, facts, summary, error"
    " FROM executions WHERE id = ?";
constexpr const char* kExecutions =
    "SELECT id, runbook, store, parameters, trigger, state, started_at, ended_at, next_step, facts, summary, error"
    " FROM executions ORDER BY started_at DESC, id DESC LIMIT ?";
constexpr const char* kDrillById =
    "SELECT id, drill, state, started_at, ended_at, parameters, scorecard FROM drills WHERE id = ?";
constexpr const char* kDrills =
    "SELECT id, drill, state, started_at, ended_at, parameters, scorecard FROM drills"
    " ORDER BY started_at DESC, id DESC LIMIT ?";

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
                                                               " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
        statement.bind(i.id).bind(i.detector).bind(i.store).bind(i.subject).bind(i.severity).bind(i.state);
        statement.bind(i.summary).bind(dump_json(Json(i.reasons))).bind(i.opened_at).bind(i.closed_at);
        return statement.run();
    }

    Result<std::vector<IncidentSummary>> incidents(WallTime since, std::size_t limit) override {
        const std::lock_guard lock(mutex_);
        Statement statement(*connection_,
                            connection_->prepare("SELECT * FROM incidents WHERE closed_at IS NULL OR closed_at >= ?"
                                                 " ORDER BY opened_at DESC, id DESC LIMIT ?"));
        return read_all(statement.bind(since).bind(as_limit(limit)), read_incident);
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

  private:
    std::mutex mutex_;
    std::unique_ptr<Connection> connection_;
};

Error file_error(const std::string& path, const char* what) {
    const int number = errno;
    const ErrorCode code = number == EACCES || number == EPERM ? ErrorCode::kPermission : ErrorCode::kIo;
    return make_error(code, fmt::format("cannot {} '{}': {}", what, path, std::strerror(number)),
                      "Check the state directory (state_directory in the stack file) and who owns it.");
}

// SQLite gives its side files the mode of the main file, so the main file is made first, private and durable.
Status create_private_file(const std::string& path) {
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::filesystem::path built;
    for (const auto& part : directory) {
        built /= part;
        if (mkdir(built.c_str(), 0700) != 0 && errno != EEXIST && access(built.c_str(), F_OK) != 0) {
            return file_error(built.string(), "create the directory");
        }
    }
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return file_error(path, "open the journal");
    close(file);
    const std::string parent = directory.empty() ? "." : directory.string();
    const int folder = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return file_error(parent, "open the directory");
    const int synced = fsync(folder);
    close(folder);
    if (synced != 0) return file_error(parent, "sync the directory");
    return {};
}

Status create_schema(Connection& connection) {
    AETERNA_ASSIGN(const std::int64_t present, connection.user_version());
    if (present == kSchemaVersion) return {};
    AETERNA_TRY(connection.execute("BEGIN IMMEDIATE"));
    Result<std::int64_t> version = connection.user_version();
    Status done = version ? Status() : Status(version.error());
    if (version && *version == 0) done = connection.execute(kSchema);
    if (version && *version > kSchemaVersion) {
        done = make_error(ErrorCode::kConfiguration,
                          fmt::format("the journal has schema {}, this aeterna-dr knows {}", *version, kSchemaVersion),
                          "A newer aeterna-dr wrote it; use that version, or another state_directory.");
    }
    if (done) done = connection.execute("COMMIT");
    if (!done) static_cast<void>(connection.execute("ROLLBACK"));
    return done;
}

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite_journal(const std::string& path) {
    AETERNA_TRY(create_private_file(path));
    AETERNA_ASSIGN(std::unique_ptr<Connection> connection, Connection::open(path));
    AETERNA_TRY(create_schema(*connection));
    AETERNA_TRY(connection->execute(kMaintenanceTable));
    return std::unique_ptr<Journal>(std::make_unique<SqliteJournal>(std::move(connection)));
}

}  // namespace aeterna::engine
