#include "models/postgres_sql.h"

#include <fmt/format.h>

namespace aeterna::sim::models {
namespace {

constexpr std::int64_t kBeatBytes = 150;
constexpr Duration kShortestQuery = std::chrono::microseconds(150);
constexpr Duration kLongestQuery = std::chrono::milliseconds(2);

bool has(const std::string& sql, std::string_view part) {
    return sql.find(part) != std::string::npos;
}

env::SqlRows one_row(std::vector<std::optional<std::string>> values) {
    env::SqlRows rows;
    rows.columns.resize(values.size());
    rows.rows.push_back(std::move(values));
    return rows;
}

env::SqlRows changed(std::int64_t count) {
    env::SqlRows rows;
    rows.affected = count;
    return rows;
}

}  // namespace

int PostgresSql::unknown_statements = 0;

void PostgresSql::connect(const std::shared_ptr<SqlSession>&, Promise<Status> answer) {
    if (server_.is_starting()) {
        answer.send(make_error(ErrorCode::kUnavailable,
                               "FATAL: 57P03: the database system is starting up"));
        return;
    }
    world_.scheduler.after(world_.rng().between(1ms, 6ms), [answer] { answer.send(Status()); });
}

env::SqlRows PostgresSql::observe() const {
    const bool in_recovery = !server_.is_primary();
    const std::string lsn = std::to_string(server_.lsn());
    const auto only_standby = [&](std::string value) {
        return in_recovery ? std::optional(std::move(value)) : std::nullopt;
    };
    const bool streams = server_.is_streaming();
    return one_row(
        {in_recovery ? "t" : "f", lsn, only_standby(lsn), std::to_string(server_.timeline()),
         std::to_string(server_.system_identifier()),
         streams ? std::optional<std::string>("streaming") : std::nullopt,
         streams ? std::optional(fmt::format("{:.6f}", to_seconds(server_.receiver_silence())))
                 : std::nullopt,
         std::to_string(server_.redo_lsn())});
}

// The row is written; the statement waits as long as its commit does. One at a time, as the
// advisory lock has it.
void PostgresSql::beat(const Promise<Result<env::SqlRows>>& answer) {
    if (server_.is_primary() && beats_waiting_ > 0) return answer.send(changed(0));
    ++beats_waiting_;
    server_.insert(0, kBeatBytes, [this, answer](const Status& done) {
        --beats_waiting_;
        if (done) {
            answer.send(changed(1));
        } else {
            answer.send(done.error());
        }
    });
}

void PostgresSql::query(const std::shared_ptr<SqlSession>&, const std::string& sql,
                        const std::vector<std::optional<std::string>>&,
                        Promise<Result<env::SqlRows>> answer) {
    if (server_.is_starting()) {
        answer.send(make_error(ErrorCode::kUnavailable,
                               "FATAL: 57P03: the database system is starting up"));
        return;
    }
    if (has(sql, "INSERT INTO aeterna_dr.heartbeat")) return beat(answer);
    Result<env::SqlRows> rows = env::SqlRows();
    if (has(sql, "pg_control_system")) {
        rows = observe();
    } else if (has(sql, "pg_stat_archiver")) {
        rows = one_row({std::nullopt, std::nullopt, std::nullopt, "f", "f", std::nullopt, "33554432", "2147483648"});
    } else if (has(sql, "inet_server_addr")) {
        rows = one_row({server_.endpoint().to_string(), server_.is_primary() ? "f" : "t"});
    } else if (has(sql, "to_regnamespace")) {
        rows = one_row({"f"});
    } else if (!has(sql, "DO $make$")) {
        ++unknown_statements;
        rows = make_error(ErrorCode::kServer,
                          fmt::format("unknown to the model: {} (SQLSTATE 0A000)", sql));
    }
    world_.scheduler.after(
        world_.rng().between(kShortestQuery, kLongestQuery),
        [answer, rows = std::move(rows)]() mutable { answer.send(std::move(rows)); });
}

}  // namespace aeterna::sim::models
