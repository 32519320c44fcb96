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

Result<bool> has_database(env::SqlConnection& server, const std::string& name, const env::Context& context) {
    AETERNA_ASSIGN(const env::SqlRows rows, server.query("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", {name}, context));
    return rows.first() == "t";
}

}  // namespace

Result<std::unique_ptr<env::SqlConnection>> connect_beside(const env::Env& env, const env::SqlTarget& target, const env::Context& context) {
    env::SqlTarget server = target;
    server.database = target.database == "postgres" ? "template1" : "postgres";
    return env.sql.connect(server, env.clock.within(kQuestion, context));
}

NewDatabase::NewDatabase(const env::Env& env, env::SqlTarget target) : env_(env), target_(std::move(target)), unfinished_(target_) {}

Status NewDatabase::make(const DumpedDatabase& like, int server_major, const env::Context& context) {
    const auto soon = [&] { return env_.clock.within(kQuestion, context); };
    AETERNA_ASSIGN(lock_, connect_beside(env_, target_, context));
    // Session locks are of one database, and this is always the same one.
    AETERNA_ASSIGN(const env::SqlRows locked,
                   lock_->query("SELECT name, pg_try_advisory_lock(hashtextextended(name, 0)) FROM (SELECT $1::name::text AS name) one",
                                {std::string(kUnfinishedPrefix) + target_.database}, soon()));
    unfinished_.database = locked.first(0).value_or("");
    const std::string shown = one_line(unfinished_.database);
    if (locked.first(1) != "t") {
        return make_error(ErrorCode::kGuardRefused, fmt::format("another restore into '{}' is at work there", one_line(target_.database)),
                          "Let it end, or end it.");
    }
    AETERNA_ASSIGN(const bool is_taken, has_database(*lock_, target_.database, soon()));
    if (is_taken) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("the database '{}' has been made meanwhile", one_line(target_.database)),
                          "Name another one, or say it again to restore into that one.");
    }
    AETERNA_ASSIGN(const bool is_left, has_database(*lock_, unfinished_.database, soon()));
    if (is_left) {
        // Not by force: who is connected may know more of it than we do.
        const auto dropped = lock_->query("DROP DATABASE " + sql_name(unfinished_.database), {}, env_.clock.within(kStatement, context));
        if (!dropped) {
            Error error = wrap_error(dropped.error(), fmt::format("'{}', which an interrupted restore left, cannot be dropped", shown));
            error.hint = "Drop it.";
            if (sqlstate_of(dropped.error()) == kObjectInUse) error.code = ErrorCode::kGuardRefused;
            return error;
        }
    }
    AETERNA_TRY(lock_->query(create_database(like, unfinished_.database, server_major), {}, env_.clock.within(kStatement, context)));
    return {};
}

env::Context NewDatabase::own_time(const std::string& run_id) const { return env_.clock.within(kStatement, {MonoTime::max(), {}, run_id}); }

// An outcome that was unknown is known the next time.
Status NewDatabase::name_once(const env::Context& context) const {
    AETERNA_ASSIGN(const auto server, connect_beside(env_, target_, context));
    AETERNA_ASSIGN(const bool is_unfinished, has_database(*server, unfinished_.database, context));
    if (!is_unfinished) {
        AETERNA_ASSIGN(const bool is_named, has_database(*server, target_.database, context));
        if (is_named) return {};
    }
    // One that may not be ended by this role makes the whole statement fail; the next one says so.
    (void)server->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", {unfinished_.database}, context);
    AETERNA_TRY(server->query(fmt::format("ALTER DATABASE {} RENAME TO {}", sql_name(unfinished_.database), sql_name(target_.database)), {},
                              context));
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
    AETERNA_ASSIGN(const auto server, connect_beside(env_, target_, context));
    AETERNA_TRY(server->query(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", sql_name(unfinished_.database)), {}, context));
    return {};
}

}  // namespace aeterna::postgres
