// restore STORE: a server of its own out of a backup, databases into a running one, or the stack's own cluster in place.
#include "app/cli/restore_store.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/restore_in_place.h"
#include "app/cli/restore_prediction.h"
#include "app/cli/sandbox_place.h"
#include "app/cli/starter.h"
#include "app/cli/store_options.h"
#include "app/registry.h"
#include "base/strings.h"
#include "env/posix/file_system.h"

namespace aeterna::app {
namespace {

constexpr const char* kSuperuser = "superuser";  // of loads, and in place

struct StoreRestoreOptions {
    std::string to = "latest", timeline, series, cluster, into;
    bool dry_run = false, yes = false;
    SandboxOptions sandbox;
    InPlaceOptions in_place;
    engine::OptionValues values;
};

// For a server that may run anywhere on this machine, as another user: by absolute paths.
std::string archive_command(const Session& session, const RepositoryPlace& place) {
    const std::string& key = place.key_file();
    return fmt::format("{} --repo {} --key-file {} archive-get", shell_word(session.env().processes.own_executable()),
                       shell_word(place.name()), shell_word(key.empty() ? key : session.env().files.canonical(key)));
}

// Only a restore into a running server may need one meanwhile.
Status refuse_sandbox(const StoreRestoreOptions& options) {
    if (!options.sandbox.is_given()) return {};
    return make_error(ErrorCode::kUsage, "--work, --server-bin and --run-as are of a restore into a running server",
                      "Leave them out.");
}

// What is said of one kind of target does not silently mean nothing for the other.
Status check_options(const engine::StoreModule& module, const StoreRestoreOptions& options, bool is_server) {
    if (!is_server) AETERNA_TRY(refuse_sandbox(options));
    const auto others = is_server ? module.restore_options().value_or(std::vector<engine::CommandOption>()) : module.load_options();
    for (const engine::CommandOption& other : others) {
        if (engine::option_words(options.values, other.name).empty()) continue;
        return make_error(ErrorCode::kUsage,
                          fmt::format("--{} is of a restore into {}", other.name, is_server ? "a directory" : "a running server"),
                          is_server ? "Leave it out." : "Name the server with --into URL, or leave it out.");
    }
    return {};
}

// What only one of the two ways has.
Status check_in_place(const engine::StoreModule& module, const StoreRestoreOptions& options) {
    const InPlaceOptions& place = options.in_place;
    if (place.wanted == !options.into.empty()) {
        return make_error(ErrorCode::kUsage,
                          place.wanted ? "--in-place and --into are two targets" : "no target is named",
                          "Name a directory (--into DIR), or put the stack's own cluster back (--in-place).");
    }
    if (!place.wanted) {
        const bool is_free = place.node.empty() && !place.during_maintenance;
        return is_free ? Status()
                       : Status(make_error(ErrorCode::kUsage,
                                           "--node and --during-maintenance are of --in-place",
                                           "Leave them out."));
    }
    AETERNA_TRY(refuse_sandbox(options));
    auto elsewhere = module.restore_options().value_or(std::vector<engine::CommandOption>());
    for (const engine::CommandOption& other : module.load_options()) elsewhere.push_back(other);
    for (const engine::CommandOption& other : elsewhere) {
        if (other.name == kSuperuser || engine::option_words(options.values, other.name).empty()) continue;
        return make_error(ErrorCode::kUsage, fmt::format("--{} is of a restore into a directory or a server", other.name),
                          "Leave it out with --in-place.");
    }
    return {};
}

// What a dump has no use for.
Status check_dump_options(const StoreRestoreOptions& options) {
    const bool is_given = !options.timeline.empty() || !options.cluster.empty() || options.sandbox.is_given();
    if (!is_given) return {};
    return make_error(ErrorCode::kUsage, "--timeline, --cluster, --work, --server-bin and --run-as are of base backups",
                      "Leave them out, or restore out of a base backup (--kind base, or a point in time).");
}

// Into a running server out of a base backup: by a server of its own meanwhile.
Result<std::unique_ptr<engine::Sandbox>> make_sandbox(Session& session, const engine::StoreModule& module, env::FileSystem& files,
                                                      const SandboxOptions& options, engine::RestoreOrder& order, const env::Context& context) {
    const auto tester = module.make_restore_tester(session.env(), files);
    engine::ScratchRoom room;
    AETERNA_ASSIGN(room.user, find_run_as(session, options.run_as, tester->server_user()));
    const std::string state = config::default_state_directory(session.env().files);
    const std::string work = find_work(session, options.work, state, room.user.has_value());
    AETERNA_ASSIGN(auto sandbox, engine::Sandbox::make(sandbox_order(*tester, work, room.user), session.env(), context));
    room.sandbox = sandbox->path();
    room.server_bin = server_bin_of(session, options);
    order.scratch = std::move(room);
    return sandbox;
}

// Who does it: our own restorer, or the stack's engine.
struct Hands {
    std::function<Result<engine::RestorePlan>()> plan;
    std::function<Result<repository::RestoreResult>(const engine::RestorePlan&)> restore;
};

Result<int> carry_out(Session& session, const StoreRestoreOptions& options, const engine::RestoreOrder& order, const Hands& hands) {
    AETERNA_ASSIGN(const engine::RestorePlan plan, hands.plan());
    Json document = plan.document;
    document["dry_run"] = options.dry_run;
    const bool asks = !plan.approval.empty() && !options.dry_run;  // and shows the plan with it
    if (asks) AETERNA_TRY(session.approve(plan.approval, plan.lines, false, options.yes));
    for (const std::string& line : plan.lines) {
        if (asks) break;
        if (options.dry_run && !session.options.json) session.print(line);
        else session.progress(line);
    }
    if (!options.dry_run) {
        const MonoTime begun = session.env().clock.now();
        AETERNA_ASSIGN(const auto result, hands.restore(plan));
        const Duration took = session.env().clock.now() - begun;
        document["restored_files"] = result.files;
        document["restored_bytes"] = result.bytes;
        document["kept_bytes"] = result.kept_bytes;
        document["seconds"] = to_seconds(took);
        if (!session.options.json) {
            // An engine does not count them, and a database has none.
            const bool has_files = result.files > 0 && order.into.find("://") == std::string::npos;
            const std::string files = !has_files ? "" : fmt::format("{} files, ", result.files);
            session.print(fmt::format("{}{} restored into '{}' in {}", files, human_bytes(result.bytes), order.into,
                                      format_duration(took)));
        }
    }
    if (session.options.json) session.print_json(Json{{"restore", document}});
    return 0;
}

Result<int> run_store(Session& session, const engine::StoreModule& module, const StoreRestoreOptions& options) {
    AETERNA_TRY(check_in_place(module, options));
    engine::RestoreOrder order;
    order.ask_starter = [starter = Starter::find(session.env().processes)] { return starter.still_there(); };
    order.to = options.to;
    order.timeline = options.timeline;
    order.series = options.series;
    order.cluster = options.cluster;
    if (options.in_place.wanted) {
        InPlaceOptions place = options.in_place;
        place.superuser = engine::option_word(options.values, kSuperuser);
        return restore_in_place(session, module, order, place, options.dry_run, options.yes);
    }
    const env::Context context = session.context(kRepositoryTimeout);
    const bool is_server = options.into.find("://") != std::string::npos;
    AETERNA_TRY(check_options(module, options, is_server));
    order.into = is_server ? options.into : session.env().files.canonical(options.into);
    order.options = options.values;
    order.workers = worker_count();
    order.progress = progress_lines(session);
    order.note = [&session](const std::string& line) { session.progress(line); };
    // What is loaded into a server comes out of our own repository.
    AETERNA_ASSIGN(const auto engine, is_server ? Result<std::unique_ptr<engine::BackupEngine>>(nullptr) : find_engine(session, std::string(module.name())));
    if (engine && !options.cluster.empty()) {
        return make_error(ErrorCode::kUsage, fmt::format("--cluster is of our own backups, and '{}' has the stack's", engine->name()), "Leave it out.");
    }
    if (engine) {
        return carry_out(session, options, order, {[&] { return engine->plan(order, context); },
                                                   [&](const engine::RestorePlan& plan) { return engine->restore(order, plan, context); }});
    }
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    order.archive_command = archive_command(session, *place);
    const auto files = env::make_posix_file_system();
    const auto restorer = is_server ? module.make_loader(session.env(), *files) : module.make_restorer(session.env());
    std::unique_ptr<engine::Sandbox> sandbox;  // gone when we return
    if (is_server) {
        AETERNA_ASSIGN(const bool needs_scratch, restorer->needs_scratch(*opened, order, context));
        if (!needs_scratch) AETERNA_TRY(check_dump_options(options));
        if (needs_scratch) {
            AETERNA_ASSIGN(sandbox, make_sandbox(session, module, *files, options.sandbox, order, context));
        }
    }
    const auto plan = [&]() -> Result<engine::RestorePlan> {
        AETERNA_ASSIGN(engine::RestorePlan made, restorer->plan(*opened, order, context));
        if (!is_server) add_prediction(session, std::string(module.name()), made);
        return made;
    };
    return carry_out(session, options, order, {plan,
                                               [&](const engine::RestorePlan& made) { return restorer->restore(*opened, order, made, context); }});
}

}  // namespace

void add_store_restores(CLI::App& command, Session& session) {
    for (const auto& module : store_modules()) {
        const auto specific = module->restore_options();
        if (!specific) continue;
        auto options = std::make_shared<StoreRestoreOptions>();
        CLI::App* store = command.add_subcommand(std::string(module->name()), "A server of its own out of a backup, or databases into a running one");
        store->add_option("--to", options->to, "latest, a time with its offset, lsn:X, name:POINT, xid:N, or a backup's id or its unique beginning")->type_name("WHEN");
        store->add_option("--timeline", options->timeline, "Of which history, where there are several; the newest otherwise")->type_name("N");
        store->add_option("--name", options->series, "Which series of backups, where there are several")->type_name("NAME");
        store->add_option("--cluster", options->cluster, "Of which cluster, where the series has had several (recovery-points); else the newest, or that of the time")
            ->type_name("ID");
        const auto of_servers = module->load_options();
        store
            ->add_option("--into", options->into,
                         of_servers.empty()
                             ? "A new or empty directory"
                             : "A new or empty directory; or a running server, postgresql://USER@HOST:PORT/DATABASE")
            ->type_name(of_servers.empty() ? "DIR" : "DIR|URL");
        store->add_flag("--in-place", options->in_place.wanted,
                        "The stack's own cluster, where it lives: its old data is kept aside");
        store
            ->add_option("--node", options->in_place.node,
                         "In place: the member that is restored, where none takes writes")
            ->type_name("NODE");
        store->add_flag("--during-maintenance", options->in_place.during_maintenance,
                        "In place: although a maintenance window holds");
        store->add_flag("--dry-run", options->dry_run, "Check, and say what would be done");
        store->add_flag("--yes", options->yes, "Overwrite what is there without a question");
        if (!of_servers.empty()) add_sandbox_options(*store, options->sandbox);
        add_store_options(*store, *specific, options->values);
        add_store_options(*store, of_servers, options->values);
        store->callback([&session, options, &one = *module] {
            session.run([&session, options, &one] { return run_store(session, one, *options); });
        });
    }
}

}  // namespace aeterna::app
