#include "postgres/restore_test/scratch_server.h"

#include <fmt/format.h>
#include <signal.h>

#include "base/strings.h"
#include "postgres/client/control_file.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(50);
constexpr Duration kAttempt = std::chrono::seconds(5);
constexpr Duration kConnect = std::chrono::seconds(30);
constexpr Duration kSmallProgram = std::chrono::seconds(30);
constexpr Duration kEndAtOnce = std::chrono::seconds(10);
constexpr std::size_t kLogTail = 64 << 10;
constexpr std::size_t kKeptOutput = 1 << 20, kErrorLimit = 64 << 20;

// The role's and database's own settings must not cut our questions short, nor hide damage.
constexpr const char* kSessionOptions =
    "-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c zero_damaged_pages=off -c ignore_checksum_failure=off";
// Others than superusers may not, and then could not have been told otherwise by their own role.
constexpr const char* kHideNothing =
    "SELECT set_config(name, 'off', false) FROM unnest(ARRAY['zero_damaged_pages', 'ignore_checksum_failure']) AS name "
    "WHERE current_setting('is_superuser') = 'on'";

// That one of its processes crashed, as the server's log says it; empty when none did.
std::string first_crash(std::string_view log) {
    for (const std::string_view line : split(log, '\n')) {
        const std::size_t process = line.find("server process (PID ");
        if (process == std::string_view::npos || line.find(" was terminated by signal ") == std::string_view::npos) continue;
        return one_line(line.substr(process));
    }
    return "";
}

std::map<std::string, std::string> bare_environment() {
    // Nothing of the caller's: PG… of his would lead elsewhere.
    return {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"LC_ALL", "C"}, {"PGOPTIONS", kSessionOptions}};
}

}  // namespace

ScratchServer::~ScratchServer() {
    if (!is_running()) return;
    const env::Context short_time{env_.clock.now() + kEndAtOnce, {}, "restore-test"};
    (void)env_.processes.signal(*id_, SIGQUIT);
    if (!env_.processes.wait_gone(*id_, short_time)) (void)env_.processes.signal(*id_, SIGKILL);
}

Status ScratchServer::write_configuration() const {
    const ScratchPlace& place = order_.place;
    AETERNA_TRY(env_.files.write_durable(place.configuration(), "# All is on the command line.\n", 0644));
    AETERNA_TRY(env_.files.write_durable(place.hba(), scratch_hba(), 0644));
    AETERNA_TRY(env_.files.write_durable(place.ident(), "", 0644));
    AETERNA_TRY(env_.files.make_directories(place.sockets(), 0700));
    if (order_.user) AETERNA_TRY(env_.files.change_owner(place.sockets(), order_.user->owner));
    return {};
}

Status ScratchServer::start(const env::Context& context) {
    AETERNA_TRY(write_configuration());
    // Of one that was killed. Whoever starts this one has ended it; a server that reads its files takes a number that nobody
    // has reaped yet, or that is another's by now, for a server that runs, and an empty file for one that starts.
    AETERNA_TRY(env_.files.remove(order_.place.data() + "/" + kServerPidFile));
    AETERNA_TRY(env_.files.remove(order_.place.socket_path() + ".lock"));
    AETERNA_ASSIGN(const env::RunResult shown,
                   run("pg_controldata", {"-D", order_.place.data()}, env_.clock.within(kSmallProgram, context)));
    if (shown.exit_status != 0) {
        return make_error(ErrorCode::kServer, "pg_controldata fails: " + one_line(shown.errors));
    }
    AETERNA_ASSIGN(control_, parse_control_data(shown.output));
    env::SpawnOptions options;
    options.argv = server_argv(order_.programs, order_.place, control_, order_.preload);
    options.environment = bare_environment();
    options.inherit_environment = false;
    options.working_directory = order_.place.data();
    options.log_path = order_.place.log();
    options.user = order_.user;
    AETERNA_ASSIGN(id_, env_.processes.spawn(options));
    return await_writes(context);
}

Status ScratchServer::await_writes(const env::Context& context) const {
    while (true) {
        const env::Context attempt = env_.clock.within(kAttempt, context);
        // There in every cluster, while 'postgres' may have been dropped.
        auto session = connect("template1", attempt);
        if (session) {
            const auto rows = (*session)->query("SELECT pg_is_in_recovery()", {}, attempt);
            if (rows && rows->first() == "f") return {};
        } else if (session.error().code == ErrorCode::kAuthentication) {
            Error error = std::move(session).error();
            error.hint = "Name a superuser of the cluster: --superuser NAME.";
            return error;
        }
        if (!is_running()) return ended();
        if (context.stop.stop_requested())
            return make_error(ErrorCode::kCancelled, "stopped while the server recovered");
        if (env_.clock.remaining(context) <= kPoll) {
            return make_error(ErrorCode::kDeadline, "the deadline passed while the server recovered",
                              "Give more time with --timeout.");
        }
        env_.clock.sleep_for(kPoll, context.stop);
    }
}

Error ScratchServer::ended() const {
    const std::string words = last_words();
    if (words.find("No space left on device") != std::string::npos) {
        return make_error(ErrorCode::kNoSpace, "the server ended: " + words, "Name a larger file system (--work).");
    }
    // Only somebody else sends signal 9: a person, or a machine that is short of memory.
    if (words.find("was terminated by signal 9") != std::string::npos) return make_error(ErrorCode::kUnavailable, "the server ended: " + words);
    if (was_killed()) return make_error(ErrorCode::kUnavailable, "somebody killed the server (signal 9)", "The kernel's log says whether memory ran out.");
    return make_error(ErrorCode::kServer, "the server ended: " + words);
}

// A postmaster that ends by itself removes its pid file, or panics. What the log has else is of its children and clients.
bool ScratchServer::was_killed() const {
    if (is_running() || !env_.files.exists(order_.place.data() + "/" + kServerPidFile)) return false;
    const auto log = env_.files.read_tail(order_.place.log(), kLogTail);
    return log && log->find("PANIC:  ") == std::string::npos;
}

std::optional<Duration> ScratchServer::replay() const {
    const auto log = env_.files.read_tail(order_.place.log(), kLogTail);
    return log ? replay_in(*log) : std::nullopt;
}

std::string ScratchServer::last_words() const {
    const auto log = env_.files.read_tail(order_.place.log(), kLogTail);
    if (!log) return "it left no log";
    std::string fatal, last;
    for (const std::string_view line : split(*log, '\n')) {
        if (trim(line).empty()) continue;
        last = one_line(line);
        for (const std::string_view word : {"FATAL:  ", "PANIC:  "}) {
            const std::size_t found = line.find(word);
            // What clients are told while it starts is no reason of its end.
            if (found == std::string_view::npos || line.find("the database system is") != std::string_view::npos)
                continue;
            if (fatal.empty()) fatal = one_line(line.substr(found + word.size()));
        }
    }
    // What clients were refused before says nothing of a crash.
    if (const std::string crash = first_crash(*log); !crash.empty()) return crash;
    if (!fatal.empty()) return fatal;
    return last.empty() ? "without a word" : last;
}

env::SqlTarget ScratchServer::target(const std::string& database) const {
    env::SqlTarget target;
    target.endpoint = {order_.place.sockets(), kScratchPort};
    target.user = order_.superuser;
    target.database = database;
    target.ssl_mode = "disable";
    target.application_name = "aeterna-dr restore-test";
    return target;
}

Result<std::unique_ptr<env::SqlConnection>> ScratchServer::connect(const std::string& database,
                                                                   const env::Context& context) const {
    AETERNA_ASSIGN(auto session, env_.sql.connect(target(database), env_.clock.within(kConnect, context)));
    for (const char* setting : {"SET statement_timeout = 0", kHideNothing}) {
        AETERNA_TRY(session->query(setting, {}, env_.clock.within(kConnect, context)));
    }
    return session;
}

std::vector<std::string> ScratchServer::connection_words() const {
    return {"-h", order_.place.sockets(), "-p", std::to_string(kScratchPort), "-U", order_.superuser, "-w"};
}

Result<env::RunResult> ScratchServer::run(const std::string& program, const std::vector<std::string>& words,
                                          const env::Context& context) const {
    env::RunOptions options;
    options.argv = {order_.programs.path(program)};
    options.argv.insert(options.argv.end(), words.begin(), words.end());
    options.environment = bare_environment();
    options.inherit_environment = false;
    options.working_directory = order_.place.data();
    options.user = order_.user;
    options.output_limit_bytes = kErrorLimit;
    // Of a cluster that is damaged all over pg_amcheck tells more than anybody reads.
    std::string output;
    options.on_output = [&output](std::string_view piece) -> Status {
        output.append(piece.substr(0, kKeptOutput - std::min(kKeptOutput, output.size())));
        return {};
    };
    AETERNA_ASSIGN(env::RunResult result, env_.processes.run(options, context));
    result.output = std::move(output);
    return result;
}

Status ScratchServer::stop(const env::Context& context) {
    if (!is_running()) return ended();
    AETERNA_TRY(env_.processes.signal(*id_, SIGINT));
    if (env_.processes.wait_gone(*id_, context)) {
        // It may have been ending because of one.
        const auto log = env_.files.read_tail(order_.place.log(), kLogTail);
        return log && !first_crash(*log).empty() ? Status(ended()) : Status();
    }
    const bool is_stop = context.stop.stop_requested();
    return make_error(is_stop ? ErrorCode::kCancelled : ErrorCode::kDeadline, "the server does not end in time");
}

}  // namespace aeterna::postgres
