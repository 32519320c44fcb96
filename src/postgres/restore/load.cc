// The shell of load.h: asks the target, and gives pg_restore a dump, streamed out of the repository or, out of a base
// backup, made by a server in a sandbox (scratch_dump.h).
#include "postgres/restore/load.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "postgres/client/programs.h"
#include "postgres/client/server_url.h"
#include "postgres/restore/load_plan.h"
#include "postgres/restore/new_database.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/scratch_dump.h"
#include "repository/pipeline/live_set.h"
#include "repository/pipeline/read_file.h"

namespace aeterna::postgres {
namespace {

constexpr Duration kLoadQuestion = std::chrono::seconds(15);
constexpr std::size_t kFeedBytes = 1 << 20;

class Loader final : public engine::Restorer {
  public:
    Loader(const env::Env& env, env::FileSystem& files) : env_(env), files_(files) {}

    Result<bool> needs_scratch(repository::Repository& repository, const engine::RestoreOrder& order, const env::Context& context) override {
        AETERNA_ASSIGN(const auto backups, repository.catalog().all(context));
        return means_base_backup(backups, read_load_wish(order.options), order.to, order.series);
    }

    Result<engine::RestorePlan> plan(repository::Repository& repository, const engine::RestoreOrder& order,
                                     const env::Context& context) override {
        wish_ = read_load_wish(order.options);
        AETERNA_ASSIGN(target_, parse_server_url(order.into));
        AETERNA_TRY(read_password());
        if (order.scratch) return plan_scratch(repository, order, context);
        AETERNA_ASSIGN(const auto backups, repository.catalog().all(context));
        AETERNA_ASSIGN(backup_, choose_backup(backups, order.to, order.series, kLogicalKind));
        AETERNA_ASSIGN(const LogicalDetails details, read_logical_details(backup_.details));
        AETERNA_ASSIGN(database_, choose_database(details.databases, wish_.database, target_.database));
        AETERNA_ASSIGN(program_, find_client_program(env_.processes, "pg_restore", details.dump_major, context));
        AETERNA_TRY(look_at_target(context));
        AETERNA_TRY(check_load(details.dump_major, wish_, found_));
        repository::EntryReader reader(repository, context);
        AETERNA_ASSIGN(const bool is_whole, repository::has_everything(reader, backup_));
        if (!is_whole) return lost_a_part(backup_);
        if (!wish_.is_whole()) AETERNA_TRY(choose_parts(repository, context));
        return describe_load(backup_, details, database_, wish_, found_, choice_);
    }

    Result<repository::RestoreResult> restore(repository::Repository& repository, const engine::RestoreOrder& order,
                                              const engine::RestorePlan& /*plan*/, const env::Context& context) override {
        if (dump_) {
            AETERNA_ASSIGN(database_, dump_->make(repository, wish_, target_.database, context));
            if (!wish_.is_whole()) AETERNA_TRY(choose_parts(repository, context));
            for (const std::string& one : choice_.left_out) order.note(left_out_line(one));
        }
        if (found_.exists) return load(repository, target_, order, context);
        NewDatabase made(env_, target_);
        AETERNA_TRY(made.make(database_, found_.major, context));
        auto loaded = load(repository, made.unfinished(), order, context);
        if (loaded) {
            AETERNA_TRY(made.give_name(context.run_id));
            return loaded;
        }
        const Status dropped = made.drop(context.run_id);
        if (dropped) return loaded;
        loaded.error().effect = Effect::kPartial;
        loaded.error().hint = fmt::format("'{}' was begun and could not be dropped: {}. Drop it.", one_line(made.unfinished().database),
                                          one_line(dropped.error().message));
        return loaded;
    }

  private:
    Result<engine::RestorePlan> plan_scratch(repository::Repository& repository, const engine::RestoreOrder& order, const env::Context& context) {
        AETERNA_TRY(look_at_target(context));
        dump_ = std::make_unique<ScratchDump>(env_, files_, order);
        AETERNA_ASSIGN(engine::RestorePlan restore, dump_->plan(repository, context));
        AETERNA_ASSIGN(program_, find_client_program(env_.processes, "pg_restore", dump_->major(), context));
        AETERNA_TRY(check_load(dump_->major(), wish_, found_));
        return describe_scratch_load(std::move(restore), wish_, found_);
    }

    Status read_password() {
        if (wish_.password_file.empty()) return {};
        auto text = env_.files.read(wish_.password_file, 1 << 16);
        if (!text) return wrap_error(text.error(), "the password cannot be read");
        while (!text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
        if (text->find('\n') != std::string::npos) {
            return make_error(ErrorCode::kUsage, fmt::format("'{}' has more than one line", wish_.password_file),
                              "Name a file that holds the password alone.");
        }
        target_.password = Secret(std::move(*text));
        return {};
    }

    Status look_at_target(const env::Context& context) {
        const auto soon = [&] { return env_.clock.within(kLoadQuestion, context); };
        AETERNA_ASSIGN(const auto server, connect_beside(env_, target_, context));
        AETERNA_ASSIGN(const std::string unfinished, unfinished_name(*server, target_.database, soon()));
        AETERNA_ASSIGN(const env::SqlRows rows,
                       server->query("SELECT current_setting('server_version'), pg_is_in_recovery(), system_identifier, "
                                     "EXISTS (SELECT FROM pg_database WHERE datname = $1), "
                                     "EXISTS (SELECT FROM pg_database WHERE datname = $2) FROM pg_control_system()",
                                     {target_.database, unfinished}, soon()));
        found_.address = target_.endpoint.to_string();
        found_.database = target_.database;
        found_.major = parse_server_major(rows.first(0).value_or("")).value_or(0);
        found_.in_recovery = rows.first(1) == "t";
        found_.system_identifier = rows.first(2).value_or("");
        found_.exists = rows.first(3) == "t";
        if (!found_.exists) {
            if (rows.first(4) == "t") found_.leftover = unfinished;
            return {};
        }
        AETERNA_ASSIGN(const auto database, env_.sql.connect(target_, soon()));
        AETERNA_ASSIGN(const env::SqlRows count,
                       database->query("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                                       "WHERE relkind IN ('r','p','v','m','f','S') AND nspname !~ '^pg_' AND nspname <> "
                                       "'information_schema'",
                                       {}, soon()));
        found_.relations = to_integer(count.first().value_or("")).value_or(0);
        return {};
    }

    [[nodiscard]] static std::function<Result<std::string>()> feed(repository::FileStream& stream) {
        return [&stream]() -> Result<std::string> {
            AETERNA_ASSIGN(const repository::Bytes bytes, stream.next(kFeedBytes));
            return std::string(bytes.begin(), bytes.end());
        };
    }

    // The dump as what `run` reads: a file of the sandbox, else a stream out of the repository, which has to stay.
    Result<std::unique_ptr<repository::FileStream>> give_dump(repository::Repository& repository, env::RunOptions& run, const env::Context& context) {
        if (dump_) {
            run.argv.push_back(dump_->file());
            return std::unique_ptr<repository::FileStream>();
        }
        AETERNA_ASSIGN(auto stream, repository::FileStream::open(repository, backup_, database_.file, context));
        run.next_input = feed(*stream);
        return stream;
    }

    Status choose_parts(repository::Repository& repository, const env::Context& context) {
        env::RunOptions run;
        run.argv = {program_.path, "--list", "--verbose", "--format=custom"};
        run.environment["LC_ALL"] = "C";
        run.output_limit_bytes = 256 << 20;
        AETERNA_ASSIGN(const auto stream, give_dump(repository, run, context));  // it leaves when it has read the table of contents
        AETERNA_ASSIGN(const env::RunResult result, env_.processes.run(run, context));
        AETERNA_TRY(judge_run("pg_restore", result));
        AETERNA_ASSIGN(const auto entries, parse_archive_list(result.output));
        AETERNA_ASSIGN(choice_, choose_entries(entries, {wish_.schemas, wish_.tables, !found_.exists}));
        return {};
    }

    Result<repository::RestoreResult> load(repository::Repository& repository, const env::SqlTarget& into,
                                           const engine::RestoreOrder& order, const env::Context& context) {
        std::string list;
        if (!wish_.is_whole()) {
            const std::string folder = env_.files.environment_variable("TMPDIR").value_or("/tmp");
            list = fmt::format("{}/aeterna-dr-list-{:016x}", folder, env_.random.next());
            AETERNA_TRY(env_.files.write_durable(list, archive_list_text(choice_.ids)));
        }
        repository::ProgressPace pace(order.progress, env_.clock);
        std::uint64_t passed = 0;
        env::RunOptions run = client_run(load_command(program_.path, wish_, !found_.exists, list), into);
        // Behind the rows it makes indexes and checks keys without a word, for hours perhaps; libpq notices a server that is gone.
        run.longest_silence = {};
        AETERNA_ASSIGN(const auto stream, give_dump(repository, run, context));
        if (stream) {
            run.next_input = [&, next = std::move(run.next_input)]() -> Result<std::string> {
                AETERNA_ASSIGN(std::string bytes, next());
                passed += bytes.size();
                pace.tell({0, passed, stream->bytes()});
                return bytes;
            };
        } else {
            AETERNA_ASSIGN(const env::NodeInfo dump, repository.ports().tree.look(dump_->file()));
            passed = dump.size;
        }
        const auto result = env_.processes.run(run, context);
        if (!list.empty()) (void)env_.files.remove(list);
        if (!result) return result.error();
        Status done = judge_run("pg_restore", *result);
        if (!done) done.error().hint = hint_for(done.error());
        AETERNA_TRY(std::move(done));
        repository::RestoreResult loaded;
        loaded.files = 1;
        loaded.bytes = passed;
        return loaded;
    }

    [[nodiscard]] std::string hint_for(const Error& error) const {
        const auto says = [&](const char* words) { return error.message.find(words) != std::string::npos; };
        if (says("role \"") && says("does not exist")) {
            return "Make the roles first (globals.sql of `restore files`), or add --no-owner.";
        }
        if (!found_.exists && says("pg_hba.conf")) {
            return fmt::format("Until it has everything it is called '{}…': pg_hba.conf has to let this role into that, too.", kUnfinishedPrefix);
        }
        if (!found_.exists && (says("can only create extension in database") || says("no such database"))) {
            return fmt::format("It has another name until it has everything: CREATE DATABASE \"{}\" yourself, then restore into that one.",
                               one_line(found_.database));
        }
        if (says("already exists")) return "Restore into a new database, or drop what is there first (--clean).";
        return found_.exists ? "Nothing of it is in the database: the transaction was rolled back."
                             : "The new database was dropped again.";
    }

    const env::Env& env_;
    env::FileSystem& files_;
    std::unique_ptr<ScratchDump> dump_;  // out of a base backup
    LoadWish wish_;
    env::SqlTarget target_;
    repository::Backup backup_;
    DumpedDatabase database_;
    ClientProgram program_;
    LoadTarget found_;
    ArchiveChoice choice_;
};

}  // namespace

std::unique_ptr<engine::Restorer> make_loader(const env::Env& env, env::FileSystem& files) { return std::make_unique<Loader>(env, files); }

std::vector<engine::CommandOption> load_options() {
    return {{"kind", "base|logical", "Out of which backups; else what --to means: a point in time is of base backups, 'latest' a dump where there is one",
             {"base", "logical"}},
            {"database", "NAME", "Of the backup: this one; else the one that is named as the target", {}},
            {"schema", "S", "Only this schema", {}, true},
            {"table", "S.T", "Only this table, with its keys, indexes, sequences, triggers and rights", {}, true},
            {"clean", "", "Drop first what has the same names", {}, false, true},
            {"no-owner", "", "Everything belongs to the role that restores, and no rights are granted", {}, false, true},
            {"password-file", "FILE", "The password of the role in the URL", {}},
            {"superuser", "NAME", "Out of a base backup, or in place: whom to log in as in the sandbox; else 'postgres'", {}},
            {"preload", "LIBRARY", "Out of a base backup: load this one at the start of its server; else none", {}, true}};
}

}  // namespace aeterna::postgres
