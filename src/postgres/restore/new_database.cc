#include "postgres/restore/new_database.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/client/sql.h"
#include "postgres/restore/load_plan.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kQuestion = std::chrono::seconds(15);
constexpr Duration kStatement = std::chrono::minutes(5);  // template0 is copied behind a checkpoint
constexpr int kNamings = 3;
constexpr const char* kObjectInUse = "55006";

// What its comment says of one that is not named yet.
constexpr std::string_view kUnfinished = "aeterna-dr: an unfinished restore", kWhole = "aeterna-dr: a whole restore that has still to be renamed";

struct Found {
    std::string oid, comment;
};

// Nothing when there is none.
Result<std::optional<Found>> find_database(env::SqlConnection& server, const std::string& name, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows,
                   server.query("SELECT oid, shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", {name}, context));
    if (rows.rows.empty()) return std::optional<Found>();
    return std::optional(Found{rows.first(0).value_or(""), rows.first(1).value_or("")});
}

Status note(env::SqlConnection& server, const std::string& name, std::string_view text, const env::Context& context) {
    const std::string said = text.empty() ? "NULL" : fmt::format("'{}'", text);
    AETERNA_TRY(server.query(fmt::format("COMMENT ON DATABASE {} IS {}", sql_name(name), said), {}, context));
    return {};
}

}  // namespace

Result<std::unique_ptr<env::SqlConnection>> connect_beside(const env::Env& env, const env::SqlTarget& target, const env::Context& context) {
    env::SqlTarget server = target;
    server.database = target.database == "postgres" ? "template1" : "postgres";
    return env.sql.connect(server, env.clock.within(kQuestion, context));
}

NewDatabase::NewDatabase(const env::Env& env, env::SqlTarget target) : env_(env), target_(std::move(target)), unfinished_(target_) {}

// Names are at most 63 bytes long, and two long ones must not share theirs.
Result<std::string> unfinished_name(env::SqlConnection& server, const std::string& database, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows,
                   server.query("SELECT $1::text || CASE WHEN octet_length($1::text || $2::text) > 63 THEN md5($2::text) ELSE $2::text END",
                                {std::string(kUnfinishedPrefix), database}, context));
    return rows.first().value_or("");
}

Status NewDatabase::lock(env::SqlConnection& server, const env::Context& context) const {
    // Session locks are of one database, and this is always the same one.
    AETERNA_ASSIGN(const env::SqlRows locked, server.query("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", {unfinished_.database}, context));
    if (locked.first() == "t") return {};
    return make_error(ErrorCode::kGuardRefused, fmt::format("another restore into '{}' is at work there", one_line(target_.database)),
                      "Let it end, or end it.");
}

// By its comment alone: whoever else has made one of that name, or has a whole one there, keeps it.
Status NewDatabase::drop_leftover(const std::string& comment, const env::Context& context) {
    const std::string shown = one_line(unfinished_.database);
    if (comment != kUnfinished) {
        return make_error(ErrorCode::kGuardRefused,
                          comment == kWhole ? fmt::format("'{}' has everything of an earlier restore", shown)
                                            : fmt::format("there is a database '{}', which is no unfinished restore of ours", shown),
                          fmt::format("Rename it to '{}' (ALTER DATABASE … RENAME TO …), or drop it.", one_line(target_.database)));
    }
    // Not by force: who is connected may know more of it than we do.
    const auto dropped = lock_->query("DROP DATABASE " + sql_name(unfinished_.database), {}, env_.clock.within(kStatement, context));
    if (dropped) return {};
    Error error = wrap_error(dropped.error(), fmt::format("'{}', which an interrupted restore left, cannot be dropped", shown));
    error.hint = "Drop it; where it has a subscription, that first: ALTER SUBSCRIPTION … SET (slot_name = NONE), DROP SUBSCRIPTION ….";
    if (sqlstate_of(dropped.error()) == kObjectInUse) error.code = ErrorCode::kGuardRefused;
    return error;
}

Status NewDatabase::make(const DumpedDatabase& like, int server_major, const env::Context& context) {
    const auto soon = [&] { return env_.clock.within(kQuestion, context); };
    AETERNA_ASSIGN(lock_, connect_beside(env_, target_, context));
    AETERNA_ASSIGN(unfinished_.database, unfinished_name(*lock_, target_.database, soon()));
    AETERNA_TRY(lock(*lock_, soon()));
    AETERNA_ASSIGN(const auto taken, find_database(*lock_, target_.database, soon()));
    if (taken) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("the database '{}' has been made meanwhile", one_line(target_.database)),
                          "Name another one, or say it again to restore into that one.");
    }
    AETERNA_ASSIGN(const auto left, find_database(*lock_, unfinished_.database, soon()));
    if (left) AETERNA_TRY(drop_leftover(left->comment, context));
    AETERNA_TRY(lock_->query(create_database(like, unfinished_.database, server_major), {}, env_.clock.within(kStatement, context)));
    AETERNA_ASSIGN(const auto made, find_database(*lock_, unfinished_.database, soon()));
    if (!made) return make_error(ErrorCode::kServer, fmt::format("'{}' is gone right after it was made", one_line(unfinished_.database)));
    oid_ = made->oid;
    Status noted = note(*lock_, unfinished_.database, kUnfinished, soon());
    if (!noted) (void)drop(context.run_id);  // without its comment the next restore would leave it alone
    return noted;
}

env::Context NewDatabase::own_time(const std::string& run_id) const { return env_.clock.within(kStatement, {MonoTime::max(), {}, run_id}); }

// The session that waits with the lock may have been cut off; then another restore may have taken the name over.
Result<std::unique_ptr<env::SqlConnection>> NewDatabase::own_session(const env::Context& context) const {
    AETERNA_ASSIGN(auto server, connect_beside(env_, target_, context));
    const bool has_lock = lock_->is_usable() && lock_->query("SELECT 1", {}, env_.clock.within(kQuestion, context));
    if (!has_lock) AETERNA_TRY(lock(*server, context));
    return server;
}

// An outcome that was unknown is known the next time.
Status NewDatabase::name_once(const env::Context& context) const {
    AETERNA_ASSIGN(const auto server, own_session(context));
    AETERNA_ASSIGN(const auto named, find_database(*server, target_.database, context));
    if (named && named->oid == oid_) return {};
    AETERNA_ASSIGN(const auto ours, find_database(*server, unfinished_.database, context));
    if (!ours || ours->oid != oid_) {
        return make_error(ErrorCode::kNotFound, fmt::format("'{}' is no longer the one that was filled", one_line(unfinished_.database)));
    }
    // Should we die now, nobody drops it.
    AETERNA_TRY(note(*server, unfinished_.database, kWhole, context));
    // One that may not be ended by this role makes the whole statement fail; the next one says so.
    (void)server->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", {unfinished_.database}, context);
    AETERNA_TRY(server->query("BEGIN", {}, context));
    AETERNA_TRY(note(*server, unfinished_.database, "", context));
    AETERNA_TRY(server->query(fmt::format("ALTER DATABASE {} RENAME TO {}", sql_name(unfinished_.database), sql_name(target_.database)), {},
                              context));
    AETERNA_TRY(server->query("COMMIT", {}, context));
    return {};
}

Status NewDatabase::give_name(const std::string& run_id) const {
    const env::Context context = own_time(run_id);
    Status named;
    for (int naming = 0; naming < kNamings; ++naming) {
        named = name_once(context);
        const bool may_go = !named && (sqlstate_of(named.error()) == kObjectInUse || named.error().effect == Effect::kUnknown);
        if (!may_go) break;
    }
    if (named) return {};
    Error error = wrap_error(named.error(), fmt::format("all of it is in '{}', which cannot be renamed", one_line(unfinished_.database)));
    error.code = ErrorCode::kPartial;
    error.effect = Effect::kPartial;
    error.hint = fmt::format("Rename it to '{}': ALTER DATABASE … RENAME TO ….", one_line(target_.database));
    return error;
}

// By force: whoever has connected meanwhile must not keep half a database alive.
Status NewDatabase::drop(const std::string& run_id) const {
    const env::Context context = own_time(run_id);
    AETERNA_ASSIGN(const auto server, own_session(context));
    AETERNA_ASSIGN(const auto ours, find_database(*server, unfinished_.database, context));
    if (!ours || ours->oid != oid_) return {};
    AETERNA_TRY(server->query(fmt::format("DROP DATABASE {} WITH (FORCE)", sql_name(unfinished_.database)), {}, context));
    return {};
}

}  // namespace aeterna::postgres
