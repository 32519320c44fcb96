// The shell of logical_backup.h: asks the server what there is, runs PostgreSQL's own programs, feeds the repository.
#include "postgres/capture/logical_backup.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "postgres/capture/source.h"
#include "postgres/client/programs.h"
#include "repository/pipeline/stream_backup.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kQuestion = std::chrono::seconds(15);
constexpr int kOldestMajor = 13;
// Whoever holds a table exclusively for so long (milliseconds) stops the dump instead of being waited for.
constexpr const char* kLockWait = "--lock-wait-timeout=300000";

class LogicalBackup {
  public:
    LogicalBackup(const Settings& settings, const env::Env& env, repository::Repository& repository,
                  const engine::BackupOrder& order, const LogicalBackupOptions& options, const env::Context& context)
        : settings_(settings), env_(env), repository_(repository), order_(order), options_(options), context_(context) {}

    Result<repository::BackupResult> run() {
        AETERNA_ASSIGN(const Source source, ask_for_source(settings_, env_, order_.node, context_));
        details_.from_replica = source.is_replica;
        target_ = settings_.sql_target(settings_.find(source.node)->address);
        order_.note(fmt::format("from {} '{}'", source.is_replica ? "the replica" : "the node", source.node));
        repository::Backup header;
        header.kind = kLogicalKind;
        header.store = "postgres";
        header.name = settings_.series();
        header.node = source.node;
        AETERNA_TRY(look(header));
        AETERNA_TRY(find_programs(parse_server_major(header.server_version).value_or(0)));
        stream_ = std::make_unique<repository::StreamBackup>(
            repository_, repository::StreamBackupRequest{header, order_.workers, order_.progress}, context_);
        AETERNA_TRY(stream_->begin());
        AETERNA_TRY(stream_->add_node("", node(env::NodeType::kDirectory)));
        for (const DumpedDatabase& database : details_.databases) AETERNA_TRY(dump(database));
        AETERNA_TRY(dump_globals());
        stream_->header().details = details_json(details_);
        return stream_->finish();
    }

  private:
    Status look(repository::Backup& header) {
        AETERNA_ASSIGN(const auto session, env_.sql.connect(target_, env_.clock.within(kQuestion, context_)));
        const auto ask = [&](const std::string& sql) {
            return session->query(sql, {}, env_.clock.within(kQuestion, context_));
        };
        AETERNA_ASSIGN(const env::SqlRows server, ask("SELECT current_setting('server_version'), system_identifier, "
                                                      "has_table_privilege('pg_catalog.pg_authid', 'SELECT') "
                                                      "FROM pg_control_system()"));
        header.server_version = server.first(0).value_or("");
        details_.system_identifier = server.first(1).value_or("");
        details_.has_passwords = server.first(2) == "t";
        const int major = parse_server_major(header.server_version).value_or(0);
        if (major < kOldestMajor) {
            return make_error(ErrorCode::kConfiguration,
                              fmt::format("logical backups are taken from PostgreSQL {} or later", kOldestMajor));
        }
        AETERNA_ASSIGN(const env::SqlRows rows, ask(databases_query(major)));
        details_.databases = read_databases(rows);
        return choose_databases();
    }

    Status choose_databases() {
        if (options_.databases.empty()) return {};
        std::vector<std::string> names;
        for (const DumpedDatabase& one : details_.databases) names.push_back(one.name);
        for (const std::string& wanted : options_.databases) {
            if (std::find(names.begin(), names.end(), wanted) != names.end()) continue;
            return make_error(ErrorCode::kUsage, fmt::format("there is no database '{}'", one_line(wanted)),
                              fmt::format("Name one of: {}.", join(names, ", ")));
        }
        std::erase_if(details_.databases, [&](const DumpedDatabase& one) {
            return std::find(options_.databases.begin(), options_.databases.end(), one.name) == options_.databases.end();
        });
        return {};
    }

    Status find_programs(int server_major) {
        const env::Context soon = env_.clock.within(kQuestion, context_);
        AETERNA_ASSIGN(dump_, find_client_program(env_.processes, "pg_dump", server_major, soon));
        AETERNA_ASSIGN(dump_all_, find_client_program(env_.processes, "pg_dumpall", server_major, soon));
        details_.dump_major = dump_.major;
        return {};
    }

    [[nodiscard]] env::NodeInfo node(env::NodeType type) const {
        env::NodeInfo info;
        info.type = type;
        info.mode = type == env::NodeType::kDirectory ? 0700 : 0600;
        info.uid = info.gid = env_.processes.effective_uid();
        info.mtime_ns = std::chrono::duration_cast<Duration>(env_.clock.wall_now().time_since_epoch()).count();
        return info;
    }

    Status dump(const DumpedDatabase& database) {
        env::SqlTarget target = target_;
        target.database = database.name;
        order_.note(fmt::format("the database '{}'", one_line(database.name)));
        return stream("pg_dump", client_run({dump_.path, "--format=custom", "--compress=0", kLockWait}, target), database.file);
    }

    // Without the right to read the passwords' hashes the roles come without them.
    Status dump_globals() {
        std::vector<std::string> argv = {dump_all_.path, "--globals-only", kLockWait};
        if (!details_.has_passwords) {
            argv.emplace_back("--no-role-passwords");
            order_.note("the roles come without their passwords: only a superuser may read those");
        }
        return stream("pg_dumpall", client_run(std::move(argv), target_), std::string(kGlobalsFile));
    }

    Status stream(const std::string& name, env::RunOptions run, const std::string& file) {
        AETERNA_TRY(stream_->begin_open_file(file, node(env::NodeType::kFile)));
        run.on_output = [this](std::string_view bytes) { return stream_->append(repository::bytes_of(bytes)); };
        AETERNA_ASSIGN(const env::RunResult result, env_.processes.run(run, context_));
        Status done = judge_run(name, result);
        if (!done) done.error().hint = hint_for(done.error());
        AETERNA_TRY(std::move(done));
        return stream_->end_file();
    }

    [[nodiscard]] std::string hint_for(const Error& error) const {
        if (error.message.find("denied for large object") != std::string::npos) {
            return fmt::format("Let the role read large objects: ALTER ROLE {} SET lo_compat_privileges = on.", target_.user);
        }
        if (error.message.find("permission denied") != std::string::npos) {
            return "Give the role pg_read_all_data, as `config check` prints it.";
        }
        if (!details_.from_replica) return "";
        return "If the replica's replay got in the way, dump from the primary (--node), or set hot_standby_feedback.";
    }

    const Settings& settings_;
    const env::Env& env_;
    repository::Repository& repository_;
    const engine::BackupOrder& order_;
    const LogicalBackupOptions& options_;
    const env::Context& context_;
    env::SqlTarget target_;
    ClientProgram dump_, dump_all_;
    LogicalDetails details_;
    std::unique_ptr<repository::StreamBackup> stream_;
};

}  // namespace

Result<repository::BackupResult> take_logical_backup(const Settings& settings, const env::Env& env,
                                                     repository::Repository& repository,
                                                     const engine::BackupOrder& order,
                                                     const LogicalBackupOptions& options, const env::Context& context) {
    return LogicalBackup(settings, env, repository, order, options, context).run();
}

}  // namespace aeterna::postgres
