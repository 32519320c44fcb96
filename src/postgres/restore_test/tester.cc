#include "postgres/restore_test/tester.h"

#include <fmt/format.h>

#include "postgres/capture/archive_get.h"
#include "postgres/capture/base_backup.h"
#include "postgres/restore/restore.h"
#include "postgres/restore_test/checks.h"
#include "postgres/restore_test/drill_rows.h"
#include "postgres/restore_test/give_tree.h"
#include "postgres/restore_test/wal_shelf.h"

namespace aeterna::postgres {
namespace {

using engine::CheckKind;
using engine::TestCheck;
using engine::TestOutcome;

constexpr Duration kCleanEnd = std::chrono::minutes(10);

class TestRun {
  public:
    TestRun(const env::Env& env, env::FileSystem& files, repository::Repository& repository, const engine::RestoreTestOrder& order,
            const env::Context& context)
        : env_(env), repository_(repository), order_(order), context_(context), place_{order.sandbox},
          archive_(make_archive(env, files)) {}

    Result<engine::RestoreTestResult> go() {
        AETERNA_TRY(check_socket_path(place_));
        AETERNA_TRY(in_phase("plan", [&] { return plan(); }));
        if (const Status done = test(); !done) result_.error = done.error();
        return std::move(result_);
    }

  private:
    template <class Work>
    Status in_phase(const std::string& name, Work work) {
        const MonoTime begun = env_.clock.now();
        Status done = work();
        result_.phases.push_back({name, env_.clock.now() - begun});
        return done;
    }

    template <class Work>
    Status in_check(Work work) {
        const MonoTime begun = env_.clock.now();
        AETERNA_ASSIGN(TestCheck check, work());
        check.took = env_.clock.now() - begun;
        result_.checks.push_back(std::move(check));
        return {};
    }

    void note(const std::string& line) const {
        if (order_.note) order_.note(line);
    }

    Status plan() {
        restore_ = order_.restore;
        restore_.into = place_.data();
        restore_.tablespaces_under = place_.tablespaces();
        restore_.archive_command = shelf_command(place_);
        AETERNA_ASSIGN(result_.plan, restorer_->plan(repository_, restore_, context_));
        AETERNA_ASSIGN(const ServerPrograms programs,
                       find_server_programs(result_.plan.backup.server_version, order_.server_bin, env_, context_));
        const std::string superuser = engine::option_word(order_.options, "superuser");
        server_.emplace(ScratchOrder{place_, programs, order_.user, superuser.empty() ? "postgres" : superuser,
                                     engine::option_words(order_.options, "preload")},
                        env_);
        return {};
    }

    Status test() {
        note(fmt::format("fetching backup {}", result_.plan.backup.id));
        AETERNA_TRY(in_phase("fetch", [&] { return fetch(); }));
        note("starting a server on it");
        AETERNA_TRY(in_phase("start", [&] { return start(); }));
        if (!server_->is_running()) return {};  // the check "start" says why
        note("questioning the server");
        AETERNA_TRY(in_phase("check", [&] { return ask(); }));
        note("stopping the server, reading its pages");
        return in_phase("stop", [&] { return stop(); });
    }

    Status fetch() {
        for (const std::string& directory : {place_.tablespaces(), place_.wal()}) {
            AETERNA_TRY(env_.files.make_directories(directory, 0700));
        }
        AETERNA_ASSIGN(const repository::RestoreResult restored,
                       restorer_->restore(repository_, restore_, result_.plan, context_));
        result_.bytes = restored.bytes;
        if (result_.plan.replay) {
            AETERNA_ASSIGN(const std::uint64_t wal,
                           fill_shelf(*archive_, repository_, result_.plan, place_, context_));
            result_.bytes += wal;
        }
        if (!order_.user) return {};
        for (const std::string& directory : {place_.data(), place_.tablespaces(), place_.wal()}) {
            AETERNA_TRY(give_tree(directory, order_.user->owner, repository_.ports().tree, env_.files));
        }
        return {};
    }

    Status start() {
        return in_check([&]() -> Result<TestCheck> {
            TestCheck check{"start", CheckKind::kEssential};
            const Status started = server_->start(context_);
            if (!started && started.error().code != ErrorCode::kServer) return started.error();
            check.outcome = started ? TestOutcome::kPassed : TestOutcome::kFailed;
            check.detail = started ? "recovered and takes writes" : started.error().to_string();
            return check;
        });
    }

    Status ask() {
        std::vector<std::string> databases;
        AETERNA_TRY(in_check([&] { return check_databases(*server_, databases, context_); }));
        AETERNA_TRY(in_check([&] { return check_structure(*server_, order_.restore.workers, context_); }));
        AETERNA_TRY(in_check([&] { return check_drill_rows(*server_, databases, order_.ledgers, env_, context_); }));
        for (const engine::TestQuery& query : order_.queries) {
            AETERNA_TRY(in_check([&] { return check_query(*server_, query, context_); }));
        }
        return {};
    }

    Status stop() {
        const Status stopped = server_->stop(env_.clock.within(kCleanEnd, context_));
        if (!stopped && stopped.error().code == ErrorCode::kServer) {
            result_.checks.push_back({"stop",
                                      CheckKind::kEssential,
                                      TestOutcome::kFailed,
                                      "while it was questioned, " + stopped.error().to_string(),
                                      {}});
            return {};
        }
        AETERNA_TRY(stopped);
        return in_check([&] { return check_pages(*server_, context_); });
    }

    const env::Env& env_;
    repository::Repository& repository_;
    const engine::RestoreTestOrder& order_;
    const env::Context& context_;
    ScratchPlace place_;
    std::unique_ptr<engine::Archive> archive_;
    std::unique_ptr<engine::Restorer> restorer_ = make_restorer();
    engine::RestoreOrder restore_;
    engine::RestoreTestResult result_;
    std::optional<ScratchServer> server_;  // last: ends before what it uses
};

class PostgresRestoreTester final : public engine::RestoreTester {
  public:
    PostgresRestoreTester(const env::Env& env, env::FileSystem& files) : env_(env), files_(files) {}

    std::string server_user() const override { return "postgres"; }
    bool takes(const repository::Backup& backup) const override { return is_base_backup(backup); }
    std::vector<std::string> programs() const override {
        return {"postgres", "pg_amcheck", "pg_checksums", "pg_controldata", "aeterna-dr"};
    }
    Result<engine::RestoreTestResult> run(repository::Repository& repository, const engine::RestoreTestOrder& order,
                                          const env::Context& context) override {
        return TestRun(env_, files_, repository, order, context).go();
    }

  private:
    const env::Env& env_;
    env::FileSystem& files_;
};

}  // namespace

std::unique_ptr<engine::RestoreTester> make_restore_tester(const env::Env& env, env::FileSystem& files) {
    return std::make_unique<PostgresRestoreTester>(env, files);
}

std::vector<engine::CommandOption> restore_test_options() {
    return {{"superuser", "NAME", "Whom to log in as in the sandbox; else 'postgres'", {}, false},
            {"preload", "LIBRARY", "Load this one at the start (its workers then run); else none", {}, true}};
}

}  // namespace aeterna::postgres
