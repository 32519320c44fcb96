// restore-test STORE: a backup out of the repository into a sandbox, a real server on it, questions, a verdict that is
// kept. restore-test cleanup: what a killed test has left.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/option_checks.h"
#include "app/cli/restore_test_report.h"
#include "app/cli/sandbox_place.h"
#include "app/cli/store_options.h"
#include "app/registry.h"
#include "engine/restore_test/history.h"
#include "engine/restore_test/random_point.h"
#include "env/posix/file_system.h"

namespace aeterna::app {
namespace {

struct RestoreTestOptions {
    std::string to = "latest", timeline, series, cluster, seed, rto, database;
    SandboxOptions sandbox;
    bool random = false;
    std::vector<std::string> queries;
    engine::OptionValues values;
};

// What the stack file knows of the store; without one all of it is empty.
struct StackPart {
    std::string state_directory;
    std::string ledgers;
    std::optional<Duration> rto;
    std::vector<engine::TestQuery> queries;
};

Result<StackPart> read_stack_part(Session& session, const std::string& store) {
    StackPart part;
    AETERNA_ASSIGN(const auto stack, stack_if_any(session));
    if (!stack) {
        part.state_directory = config::default_state_directory(session.env().files);
        return part;
    }
    AETERNA_ASSIGN(const OpenStack* open, session.open());
    part.state_directory = open->stack.state_directory;
    part.ledgers = part.state_directory + "/drills";
    if (open->stack.find_store(store) == nullptr) return part;
    AETERNA_ASSIGN(const engine::Store* found, open->find(store));
    part.rto = found->objectives().rto;
    part.queries = found->test_queries();
    return part;
}

Status draw(Session& session, repository::Repository& repository, engine::Restorer& restorer, std::uint64_t seed,
            engine::RestoreOrder& order, const env::Context& context) {
    AETERNA_ASSIGN(auto windows, restorer.recovery_windows(repository, context));
    AETERNA_TRY(engine::keep_windows(windows, order));
    AETERNA_ASSIGN(const engine::RandomPoint point, engine::draw_point(windows, seed));
    order.to = point.to;
    order.timeline = point.timeline;
    order.series = point.series;
    order.cluster = point.cluster;
    session.progress(fmt::format("drawn with seed {}: --to {} --name {} --cluster {}{}", seed, point.to, point.series, point.cluster,
                                 point.timeline.empty() ? "" : " --timeline " + point.timeline));
    return {};
}

std::vector<engine::TestQuery> all_queries(const StackPart& part, const RestoreTestOptions& options) {
    std::vector<engine::TestQuery> queries = part.queries;
    for (std::size_t i = 0; i < options.queries.size(); ++i) {
        queries.push_back({std::to_string(i + 1), options.database, options.queries[i]});
    }
    return queries;
}

Result<int> finish(Session& session, const StackPart& part, const TestReport& report, Status removed,
                   const env::Context& context) {
    const Json document = to_json(report);
    // A stopped test is evidence too: its own time is over, this takes a moment.
    const env::Context moment{session.env().clock.now() + std::chrono::seconds(10), {}, context.run_id};
    const Status kept = engine::record_test(part.state_directory, document, session.env(), moment);
    if (session.options.json) session.print_json(Json{{"restore_test", document}});
    else
        for (const std::string& line : report_lines(report)) session.print(line);
    const auto& error = report.result.error;
    if (error && !error->hint.empty()) session.progress("  hint: " + error->hint);
    if (!removed) session.progress("the sandbox could not be removed: " + removed.error().to_string());
    if (!kept) session.progress("the result could not be kept: " + kept.error().to_string());
    const int code = exit_code_of(report);
    const bool is_whole = removed.has_value() && kept.has_value();
    return code == 0 && !is_whole ? exit_code(ErrorCode::kPartial) : code;
}

Result<int> run_test(Session& session, const engine::StoreModule& module, const RestoreTestOptions& options) {
    AETERNA_ASSIGN(const auto own_engine, find_engine(session, std::string(module.name())));
    if (own_engine) {
        return make_error(ErrorCode::kUsage, fmt::format("the backups of {} are kept by {}: a restore test takes those of our repository", module.name(), own_engine->name()),
                          "Restore one with 'aeterna-dr restore' and start it, or name our repository (--repo).");
    }
    const env::Context context = session.context(kRepositoryTimeout);
    const env::Env& env = session.env();
    const auto files = env::make_posix_file_system();
    const auto tester = module.make_restore_tester(env, *files);
    TestReport report;
    report.store = module.name();
    report.to = options.to;
    report.at = env.clock.wall_now();
    report.id = engine::make_record_id("restore-test", report.at, env.random.next());
    AETERNA_ASSIGN(const StackPart part, read_stack_part(session, report.store));
    report.objective = part.rto;
    if (!options.rto.empty()) {
        AETERNA_ASSIGN(report.objective, parse_duration(options.rto));
    }
    engine::RestoreTestOrder order;
    AETERNA_ASSIGN(order.room.user, find_run_as(session, options.sandbox.run_as, tester->server_user()));
    const std::string work =
        find_work(session, options.sandbox.work, part.state_directory, order.room.user.has_value());
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    order.restore.to = options.to;
    order.restore.timeline = options.timeline;
    order.restore.series = options.series;
    order.restore.cluster = options.cluster;
    if (options.random) {
        AETERNA_ASSIGN(const auto given, parse_seed(options.seed, 1));
        report.seed = given.value_or(env.random.next() % 1'000'000);
        AETERNA_TRY(draw(session, *opened, *module.make_restorer(session.env()), *report.seed, order.restore, context));
        report.to = order.restore.to;
    }
    order.restore.workers = worker_count();
    order.restore.progress = progress_lines(session);
    order.room.server_bin = server_bin_of(session, options.sandbox);
    order.options = options.values;
    order.queries = all_queries(part, options);
    order.ledgers = part.ledgers;
    order.note = [&session](const std::string& line) { session.progress(line); };
    AETERNA_ASSIGN(const auto sandbox,
                   engine::Sandbox::make(sandbox_order(*tester, work, order.room.user), env, context));
    if (sandbox->removed_dead() > 0) {
        session.progress(fmt::format("removed {} that a killed test had left", sandbox->removed_dead()));
    }
    order.room.sandbox = sandbox->path();
    AETERNA_ASSIGN(report.result, tester->run(*opened, order, context));
    return finish(session, part, report, sandbox->remove(), context);
}

Result<int> run_cleanup(Session& session, const std::string& given) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const std::string state, state_directory_of(session));
    const auto files = env::make_posix_file_system();
    std::size_t count = 0;
    for (const auto& module : store_modules()) {
        const auto tester = module->make_restore_tester(session.env(), *files);
        if (!tester) continue;
        const bool is_root = session.env().processes.effective_uid() == 0;
        const std::string work = find_work(session, given, state, is_root);
        AETERNA_ASSIGN(
            const std::size_t found,
            engine::remove_dead_sandboxes(sandbox_order(*tester, work, std::nullopt), session.env(), context));
        count += found;
    }
    if (session.options.json) session.print_json(Json{{"removed", count}});
    else session.print(fmt::format("{} removed", count));
    return 0;
}

void add_options(CLI::App& store, RestoreTestOptions& options) {
    CLI::Option* to = store.add_option("--to", options.to, "What to restore, as 'restore' has it")->type_name("WHEN");
    store.add_option("--timeline", options.timeline, "Of which history, as 'restore' has it")->type_name("N");
    CLI::Option* random = store.add_flag("--random", options.random, "A random point of the time that can be restored")->excludes(to);
    store.add_option("--seed", options.seed, "Of --random: draws the same point of the same recovery points again")->type_name("N")->needs(random);
    store.add_option("--name", options.series, "Which series of backups, where there are several")->type_name("NAME");
    store.add_option("--cluster", options.cluster, "Of which cluster, as 'restore' has it")->type_name("ID");
    add_sandbox_options(store, options.sandbox);
    store.add_option("--rto", options.rto, "Objective; else the stack file's (5m)")->type_name("DURATION");
    store.add_option("--query", options.queries, "SQL whose first value has to be true; beside the stack file's")
        ->type_name("SQL")
        ->expected(1, -1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false);
    store.add_option("--database", options.database, "Of --query; else 'postgres'")->type_name("NAME");
}

}  // namespace

void add_restore_test_command(CLI::App& app, Session& session) {
    CLI::App* command = app.add_subcommand("restore-test", "Restore into a sandbox, start a server there, question it");
    command->require_subcommand(1);
    for (const auto& module : store_modules()) {
        const auto specific = module->restore_test_options();
        if (!specific) continue;
        auto options = std::make_shared<RestoreTestOptions>();
        CLI::App* store = command->add_subcommand(std::string(module->name()),
                                                  "A backup of the stack's " + std::string(module->name()));
        add_options(*store, *options);
        add_store_options(*store, *specific, options->values);
        store->callback([&session, options, &one = *module] {
            session.run([&session, options, &one] { return run_test(session, one, *options); });
        });
    }
    auto work = std::make_shared<std::string>();
    CLI::App* cleanup = command->add_subcommand("cleanup", "End and remove what a killed test has left");
    cleanup->add_option("--work", *work, "Where its sandbox was made")->type_name("DIR");
    cleanup->callback([&session, work] { session.run([&session, work] { return run_cleanup(session, *work); }); });
}

}  // namespace aeterna::app
