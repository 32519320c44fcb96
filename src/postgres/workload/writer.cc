// Writing one row and telling exactly what became of it.
#include "postgres/workload/writer.h"

#include "postgres/client/sql.h"

namespace aeterna::postgres {

namespace {

constexpr Duration kConnectTimeout = 1s;

// The position makes the reply depend on the write; the address tells which server was behind a
// proxy.
constexpr const char* kInsert =
    "INSERT INTO aeterna_dr.drill_writes (drill, id) VALUES ($1, $2::bigint) "
    "RETURNING pg_current_wal_insert_lsn(), host(inet_server_addr()) || ':' || inet_server_port()";

}  // namespace

const char* drill_table_sql() {
    return "CREATE TABLE IF NOT EXISTS aeterna_dr.drill_writes (drill text, id bigint, "
           "at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (drill, id))";
}

engine::WriteOutcome classify_write_error(const Error& error) {
    if (error.effect == Effect::kUnknown) {
        // The server said so before it closed the session: nothing ran.
        const std::string state = sqlstate_of(error);
        return state == "57P03" || state == "53300" ? engine::WriteOutcome::kFail
                                                    : engine::WriteOutcome::kUnknown;
    }
    const std::string state = sqlstate_of(error);
    // An earlier attempt of this id may have been the one that is there.
    if (state == "23505") return engine::WriteOutcome::kUnknown;
    if (error.code == ErrorCode::kReadOnly) return engine::WriteOutcome::kFail;
    if (state == "57P03" || state == "53300") return engine::WriteOutcome::kFail;
    // 57xxx: cancelled or terminated, perhaps while a commit waited for its standby.
    if (!state.empty() && state.rfind("57", 0) != 0) return engine::WriteOutcome::kFail;
    return engine::WriteOutcome::kUnknown;
}

engine::WriteReply PostgresWriter::write(std::uint64_t id, const env::Context& context) {
    if (!session_ || !session_->is_usable()) {
        session_.reset();
        auto session = env_.sql.connect(settings_.sql_target(address_),
                                        env_.clock.within(kConnectTimeout, context));
        // Without a session nothing was sent.
        if (!session) return {engine::WriteOutcome::kFail, "", session.error().to_string()};
        session_ = std::move(*session);
    }
    auto rows = session_->query(kInsert, {drill_id_, std::to_string(id)}, context);
    if (rows) return {engine::WriteOutcome::kOk, node_at(rows->first(1).value_or("")), ""};
    const engine::WriteOutcome outcome = classify_write_error(rows.error());
    // A replica stays one for this session's life, but a proxy may lead elsewhere next time.
    if (!session_->is_usable() || rows.error().code == ErrorCode::kReadOnly) session_.reset();
    return {outcome, "", rows.error().to_string()};
}

std::string PostgresWriter::node_at(const std::string& address) const {
    for (const NodeSettings& node : settings_.nodes) {
        if (node.address.to_string() == address) return node.name;
    }
    return address;
}

}  // namespace aeterna::postgres
