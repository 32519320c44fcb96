#include "engine/runbook/sqlite_schema.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace aeterna::engine::sqlite {
namespace {

constexpr const char* kFirst = R"sql(
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

// What people ask of a process that runs; incidents that somebody has taken note of; maintenance windows.
constexpr const char* kSecond = R"sql(
CREATE TABLE requests (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, requester TEXT NOT NULL,
    at INTEGER NOT NULL, answer TEXT NOT NULL);
CREATE INDEX requests_answer ON requests (answer);
ALTER TABLE incidents ADD COLUMN acknowledged_at INTEGER;
ALTER TABLE incidents ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
CREATE TABLE maintenance (
    id TEXT PRIMARY KEY, store TEXT NOT NULL, reason TEXT NOT NULL, started_at INTEGER NOT NULL,
    until INTEGER NOT NULL, ended_at INTEGER);
PRAGMA user_version = 2;
)sql";

// Entry i leads from version i to i + 1.
constexpr std::array kVersions = {kFirst, kSecond};

Error file_error(const std::string& path, const char* what) {
    const int number = errno;
    const ErrorCode code =
        number == EACCES || number == EPERM ? ErrorCode::kPermission : ErrorCode::kIo;
    return make_error(
        code, fmt::format("cannot {} '{}': {}", what, path, std::strerror(number)),
        "Check the state directory (state_directory in the stack file) and who owns it.");
}

// SQLite gives its side files the mode of the main file, so the main file is made first, private
// and durable.
Status create_private_file(const std::string& path) {
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::filesystem::path built;
    for (const auto& part : directory) {
        built /= part;
        if (mkdir(built.c_str(), 0700) != 0 && errno != EEXIST &&
            access(built.c_str(), F_OK) != 0) {
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

Status bring_up_to_date(Connection& connection, const std::string& path) {
    constexpr auto kNewest = static_cast<std::int64_t>(kVersions.size());
    AETERNA_ASSIGN(const std::int64_t version, connection.user_version());
    if (version < 0 || version > kNewest) {
        return make_error(
            ErrorCode::kConfiguration,
            fmt::format("the journal '{}' has schema {}, this aeterna-dr knows {}", path, version,
                        kNewest),
            "A newer aeterna-dr wrote it; use that version, or another state_directory.");
    }
    for (std::int64_t i = version; i < kNewest; ++i)
        AETERNA_TRY(connection.execute(kVersions[static_cast<std::size_t>(i)]));
    return {};
}

Status create_schema(Connection& connection, const std::string& path) {
    AETERNA_ASSIGN(const std::int64_t present, connection.user_version());
    if (present == static_cast<std::int64_t>(kVersions.size())) return {};
    AETERNA_TRY(connection.execute("BEGIN IMMEDIATE"));
    Status done = bring_up_to_date(connection, path);
    if (done) done = connection.execute("COMMIT");
    if (!done) static_cast<void>(connection.execute("ROLLBACK"));
    return done;
}

}  // namespace

Result<std::unique_ptr<Connection>> open_journal_file(const std::string& path) {
    AETERNA_TRY(create_private_file(path));
    AETERNA_ASSIGN(std::unique_ptr<Connection> connection, Connection::open(path));
    AETERNA_TRY(create_schema(*connection, path));
    return connection;
}

}  // namespace aeterna::engine::sqlite
