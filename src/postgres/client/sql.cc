// The statements of sql.h.
#include "postgres/client/sql.h"

#include <algorithm>
#include <cctype>

#include "base/strings.h"

namespace aeterna::postgres {

namespace {

// A replica's own control file lags behind its stream, so the WAL receiver's timeline comes first. Where there is none the
// replica may have been a primary that forked: its last checkpoint is of before that, what it must recover to is not. On a
// primary the name of the present segment begins with the timeline.
constexpr const char* kObserve = R"(
SELECT pg_is_in_recovery(),
       (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
        - '0/0'::pg_lsn)::bigint,
       (pg_last_wal_receive_lsn() - '0/0'::pg_lsn)::bigint,
       CASE WHEN pg_is_in_recovery()
            THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver LIMIT 1),
                          (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
                             FROM pg_control_checkpoint() c, pg_control_recovery() r))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       (SELECT system_identifier FROM pg_control_system()),
       (SELECT status FROM pg_stat_wal_receiver LIMIT 1),
       (SELECT extract(epoch FROM clock_timestamp() - last_msg_receipt_time)
          FROM pg_stat_wal_receiver LIMIT 1),
       (SELECT (redo_lsn - '0/0'::pg_lsn)::bigint FROM pg_control_checkpoint()))";

// A commit that waits for a synchronous standby outlives our time-out and keeps its locks: each
// later beat would leave one more backend behind it. So none begins while the watcher's last one
// waits, and none queues for the row for long. Both end with the statement: a pooler's session
// stays clean.
constexpr const char* kBeat = R"(
INSERT INTO aeterna_dr.heartbeat AS h (watcher, beats, at)
SELECT $1::text, 1, clock_timestamp()
WHERE set_config('lock_timeout', '500ms', true) <> ''
  AND pg_try_advisory_xact_lock(hashtext('aeterna_dr.heartbeat'), hashtext($1::text || ' ' || $2::text))
ON CONFLICT (watcher) DO UPDATE SET beats = h.beats + 1, at = clock_timestamp())";

constexpr const char* kMakeHeartbeat = R"(
CREATE TABLE IF NOT EXISTS aeterna_dr.heartbeat
  (watcher text PRIMARY KEY, beats bigint NOT NULL, at timestamptz NOT NULL))";

std::optional<std::int64_t> integer_at(const env::SqlRows& rows, std::size_t column) {
    const auto text = rows.first(column);
    return text ? to_integer(*text) : std::nullopt;
}

bool is_missing_relation(const Error& error) {
    const std::string state = sqlstate_of(error);
    return state == "42P01" || state == "3F000";
}

// IF NOT EXISTS does not help against another session that creates the same at the same time.
bool was_made_meanwhile(const Error& error) {
    const std::string state = sqlstate_of(error);
    return state == "23505" || state == "42P06" || state == "42P07";
}

Error still_waiting() {
    return make_error(ErrorCode::kUnavailable, "an earlier heartbeat is still waiting",
                      "Check that the synchronous standbys replicate.");
}

Status to_heartbeat_status(Status outcome) {
    const bool timed_out_at_lock = !outcome && sqlstate_of(outcome.error()) == "55P03";
    return timed_out_at_lock ? still_waiting() : std::move(outcome);
}

Status write_beat(env::SqlConnection& connection, const std::string& watcher,
                  const std::string& owner, const env::Context& context) {
    AETERNA_ASSIGN(env::SqlRows written, connection.query(kBeat, {watcher, owner}, context));
    if (written.affected == 0) return still_waiting();
    return {};
}

}  // namespace

Result<SqlView> observe(env::SqlConnection& connection, const env::Context& context) {
    AETERNA_ASSIGN(env::SqlRows rows, connection.query(kObserve, {}, context));
    const auto recovery = rows.first(0);
    if (!recovery) return make_error(ErrorCode::kProtocol, "the server answered without a row");
    SqlView view;
    view.in_recovery = *recovery == "t";
    view.lsn = integer_at(rows, 1);
    if (view.in_recovery) view.received = integer_at(rows, 2);
    view.timeline = integer_at(rows, 3);
    view.system_identifier = rows.first(4).value_or("");
    view.receiver_status = rows.first(5).value_or("");
    if (const auto silent = rows.first(6)) view.receiver_silent_seconds = to_number(*silent);
    view.redo_lsn = integer_at(rows, 7).value_or(0);
    return view;
}

Status make_relation(env::SqlConnection& connection, const std::string& create_table,
                     const env::Context& context) {
    // The schema may exist where the role may not create one: ask first, or CREATE fails on the
    // missing right.
    AETERNA_ASSIGN(env::SqlRows schema,
                   connection.query("SELECT to_regnamespace('aeterna_dr') IS NULL", {}, context));
    std::vector<std::string> statements;
    if (schema.first() == "t") statements.emplace_back("CREATE SCHEMA IF NOT EXISTS aeterna_dr");
    statements.push_back(create_table);
    for (const std::string& statement : statements) {
        // Behind one that waits for a synchronous standby it would wait for ever.
        auto made = connection.query(
            "DO $make$ BEGIN SET LOCAL lock_timeout = '500ms'; " + statement + "; END $make$", {},
            context);
        if (!made && !was_made_meanwhile(made.error())) return std::move(made).error();
    }
    return {};
}

Status beat(env::SqlConnection& connection, const std::string& watcher, const std::string& owner,
            const env::Context& context) {
    Status written = write_beat(connection, watcher, owner, context);
    if (!written && is_missing_relation(written.error())) {
        AETERNA_TRY(to_heartbeat_status(make_relation(connection, kMakeHeartbeat, context)));
        written = write_beat(connection, watcher, owner, context);
    }
    return to_heartbeat_status(std::move(written));
}

Result<Answerer> who_answers(env::SqlConnection& connection, const env::Context& context) {
    AETERNA_ASSIGN(env::SqlRows rows,
                   connection.query("SELECT host(inet_server_addr()) || ':' || inet_server_port(), "
                                    "pg_is_in_recovery()",
                                    {}, context));
    return Answerer{rows.first(0).value_or(""), rows.first(1) == "t"};
}

Result<std::uint64_t> database_bytes(env::SqlConnection& connection, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows,
                   connection.query("SELECT sum(pg_database_size(oid)) FROM pg_database", {}, context));
    const auto bytes = to_integer(rows.first().value_or(""));
    if (!bytes || *bytes < 0) return make_error(ErrorCode::kProtocol, "the server does not say how large it is");
    return static_cast<std::uint64_t>(*bytes);
}

std::string sqlstate_of(const Error& error) {
    // env/sql.h's adapter writes "(SQLSTATE 42P01)" for statements and "FATAL: 57P03: …" for
    // connections.
    for (const std::string_view mark : {"SQLSTATE ", "FATAL:", "ERROR:"}) {
        const std::size_t found = error.message.find(mark);
        if (found == std::string::npos) continue;
        const std::size_t begin = error.message.find_first_not_of(' ', found + mark.size());
        if (begin == std::string::npos || begin + 5 > error.message.size()) continue;
        const std::string state = error.message.substr(begin, 5);
        const bool fits = std::all_of(state.begin(), state.end(), [](unsigned char c) {
            return std::isdigit(c) || std::isupper(c);
        });
        if (fits) return state;
    }
    return error.cause ? sqlstate_of(*error.cause) : "";
}

}  // namespace aeterna::postgres
