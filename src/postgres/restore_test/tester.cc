#include "postgres/restore_test/tester.h"

#include <fmt/format.h>

#include "postgres/restore_test/checks.h"
#include "postgres/restore_test/drill_rows.h"
#include "postgres/restore_test/scratch_restore.h"

namespace aeterna::postgres {
namespace {

using engine::CheckKind;
using engine::TestCheck;
using engine::TestOutcome;

constexpr Duration kCleanEnd = std::chrono::minutes(10);

ScratchWish test_wish(const engine::RestoreTestOrder& order) {
    return {order.restore, order.room, engine::option_word(order.options, "superuser"),
            engine::option_words(order.options, "preload")};
}

class TestRun {
  public:
    TestRun(const env::Env& env, env::FileSystem& files, repository::Repository& repository, const engine::RestoreTestOrder& order,
            const env::Context& context)
        : env_(env), repository_(repository), order_(order), context_(context), scratch_(env, files, test_wish(order)) {}

    Result<engine::RestoreTestResult> go() {
        Status done = in_phase("plan", [&] { return plan(); });
        // What is damaged tells against the repository, also where no backup could be chosen for it, and a full disk against
        // nobody; anything else is whoever's who asked.
        const bool is_verdict = done || done.error().code == ErrorCode::kCorrupt || done.error().code == ErrorCode::kNoSpace;
        if (!is_verdict) return done.error();
        if (done) done = test();
        if (!done) result_.error = done.error();
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
        AETERNA_ASSIGN(result_.plan, scratch_.plan(repository_, context_));
        return {};
    }

    Status test() {
        note(fmt::format("fetching backup {}", result_.plan.backup.id));
        AETERNA_TRY(in_phase("fetch", [&] { return fetch(); }));
        note("starting a server on it");
        AETERNA_TRY(in_phase("start", [&] { return start(); }));
        if (!scratch_.server().is_running()) return {};  // the check "start" says why
        if (result_.plan.replay) result_.replay = scratch_.server().replay();
        note("questioning the server");
        AETERNA_TRY(in_phase("check", [&] { return ask(); }));
        note("stopping the server, reading its pages");
        return in_phase("stop", [&] { return stop(); });
    }

    Status fetch() {
        AETERNA_ASSIGN(result_.bytes, scratch_.fetch(repository_, context_));
        return {};
    }

    Status start() {
        return in_check([&]() -> Result<TestCheck> {
            TestCheck check{"start", CheckKind::kEssential};
            const Status started = scratch_.server().start(context_);
            if (!started && started.error().code != ErrorCode::kServer) return started.error();
            check.outcome = started ? TestOutcome::kPassed : TestOutcome::kFailed;
            check.detail = started ? "recovered and takes writes" : started.error().to_string();
            return check;
        });
    }

    Status ask() {
        std::vector<std::string> databases;
        AETERNA_TRY(in_check([&] { return check_databases(scratch_.server(), databases, context_); }));
        AETERNA_TRY(in_check([&] { return check_structure(scratch_.server(), order_.restore.workers, context_); }));
        AETERNA_TRY(in_check([&] { return check_drill_rows(scratch_.server(), databases, order_.ledgers, env_, context_); }));
        for (const engine::TestQuery& query : order_.queries) {
            AETERNA_TRY(in_check([&] { return check_query(scratch_.server(), query, context_); }));
        }
        return {};
    }

    Status stop() {
        const Status stopped = scratch_.server().stop(env_.clock.within(kCleanEnd, context_));
        if (!stopped && stopped.error().code == ErrorCode::kServer) {
            result_.checks.push_back({"stop",
                                      CheckKind::kEssential,
                                      TestOutcome::kFailed,
                                      "while it was questioned, " + stopped.error().to_string(),
                                      {}});
            return {};
        }
        AETERNA_TRY(stopped);
        return in_check([&] { return check_pages(scratch_.server(), context_); });
    }

    const env::Env& env_;
    repository::Repository& repository_;
    const engine::RestoreTestOrder& order_;
    const env::Context& context_;
    engine::RestoreTestResult result_;
    ScratchRestore scratch_;
};

class PostgresRestoreTester final : public engine::RestoreTester {
  public:
    PostgresRestoreTester(const env::Env& env, env::FileSystem& files) : env_(env), files_(files) {}

    std::string server_user() const override { return "postgres"; }
    std::vector<std::string> programs() const override {
        return {"postgres", "pg_amcheck", "pg_checksums", "pg_controldata", "pg_dump", "aeterna-dr"};
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
