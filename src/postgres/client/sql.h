// The few statements that we send to PostgreSQL, over env::SqlConnection. Only `beat` and what the
// drill does write, and only into the schema aeterna_dr.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "env/sql.h"

namespace aeterna::postgres {

// What one server says about itself.
struct SqlView {
    bool in_recovery = false;
    std::optional<std::int64_t> lsn;       // bytes: written (primary) or replayed (replica)
    std::optional<std::int64_t> received;  // bytes, replica only
    std::optional<std::int64_t> timeline;
    std::string system_identifier;
    std::string
        receiver_status;  // "streaming" | "" (no WAL receiver, or hidden for want of pg_monitor)
    // Since the WAL receiver last heard anything of its primary, seconds; nothing without one.
    std::optional<double> receiver_silent_seconds;
    std::int64_t redo_lsn = 0;  // bytes: where recovery of this node's last checkpoint would begin
};

[[nodiscard]] Result<SqlView> observe(env::SqlConnection& connection, const env::Context& context);

// Runs a CREATE TABLE IF NOT EXISTS inside our schema, which is made first when it is missing;
// somebody else doing the same at the same time is no error. Waits at most 500 ms for a lock.
Status make_relation(env::SqlConnection& connection, const std::string& create_table,
                     const env::Context& context);

// Writes this watcher's row of aeterna_dr.heartbeat; makes schema and table when they are missing.
// kReadOnly on a replica; kUnavailable while an earlier beat of the row still waits in its commit.
// `watcher` names the row, `owner` the process: only one beat of both is under way on the server.
Status beat(env::SqlConnection& connection, const std::string& watcher, const std::string& owner,
            const env::Context& context);

// What all databases take on disk; reads every file's size, so not often.
[[nodiscard]] Result<std::uint64_t> database_bytes(env::SqlConnection& connection, const env::Context& context);

// Which server answers at the other end of a proxy: "10.0.0.1:5432"; and whether it is in recovery.
struct Answerer {
    std::string address;
    bool in_recovery = false;
};
[[nodiscard]] Result<Answerer> who_answers(env::SqlConnection& connection,
                                           const env::Context& context);

// "42P01" of an error whose message carries it (env/sql.h); empty when there is none.
[[nodiscard]] std::string sqlstate_of(const Error& error);
// undefined_file: "requested WAL segment … has already been removed".
inline constexpr std::string_view kWalRemoved = "58P01";

}  // namespace aeterna::postgres
