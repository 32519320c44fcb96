// restore files, restore STORE: one backup into a new directory. Interrupted and begun again, it goes on.
#include "repository/pipeline/restore.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/restore_in_place.h"
#include "app/cli/store_options.h"
#include "app/registry.h"
#include "base/strings.h"

namespace aeterna::app {
namespace {

struct RestoreOptions {
    std::string backup, into, delta_from;
    bool delta = false, yes = false;
};

Result<int> run_files(Session& session, const RestoreOptions& options) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    repository::RestoreRequest request;
    AETERNA_ASSIGN(request.backup, opened->catalog().find(options.backup, context));
    request.into = session.env().files.canonical(options.into);
    request.workers = worker_count();
    request.progress = progress_lines(session);
    request.replaces = options.delta;
    if (!options.delta_from.empty()) request.delta_from = session.env().files.canonical(options.delta_from);
    if (options.delta && !session.env().files.list(request.into).value_or(std::vector<std::string>()).empty()) {
        AETERNA_TRY(session.approve(fmt::format("overwrite the directory '{}'", request.into),
                                    {"what the backup has not is removed"}, false, options.yes));
    }
    const MonoTime begun = session.env().clock.now();
    AETERNA_ASSIGN(const auto result, repository::restore_tree(*opened, request, context));
    const Duration took = session.env().clock.now() - begun;
    if (session.options.json) {
        session.print_json(Json{{"restore",
                                 {{"backup", request.backup.id},
                                  {"into", request.into},
                                  {"files", result.files},
                                  {"directories", result.directories},
                                  {"links", result.links},
                                  {"bytes", result.bytes},
                                  {"kept_bytes", result.kept_bytes},
                                  {"seconds", to_seconds(took)}}}});
    } else {
        session.print(fmt::format("{} files, {} restored into '{}' in {}", result.files, human_bytes(result.bytes),
                                  request.into, format_duration(took)));
    }
    return 0;
}

struct StoreRestoreOptions {
    std::string to = "latest", timeline, series, into;
    bool dry_run = false, yes = false;
    InPlaceOptions in_place;
    engine::OptionValues values;
};

// For a server that may run anywhere on this machine, as another user: by absolute paths.
std::string archive_command(const Session& session, const RepositoryPlace& place) {
    const std::string& key = place.key_file();
    return fmt::format("{} --repo {} --key-file {} archive-get", shell_word(session.env().processes.own_executable()),
                       shell_word(place.name()), shell_word(key.empty() ? key : session.env().files.canonical(key)));
}

// What is said of one kind of target does not silently mean nothing for the other.
Status check_options(const engine::StoreModule& module, const StoreRestoreOptions& options, bool is_server) {
    if (is_server && !options.timeline.empty()) {
        return make_error(ErrorCode::kUsage, "--timeline is of a restore into a directory", "Leave it out.");
    }
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
        const bool is_free = place.node.empty() && place.superuser.empty() && !place.during_maintenance;
        return is_free ? Status()
                       : Status(make_error(ErrorCode::kUsage,
                                           "--node, --superuser and --during-maintenance are of --in-place",
                                           "Leave them out."));
    }
    const auto specific = module.restore_options().value_or(std::vector<engine::CommandOption>());
    for (const engine::CommandOption& other : specific) {
        if (engine::option_words(options.values, other.name).empty()) continue;
        return make_error(ErrorCode::kUsage, fmt::format("--{} is of a restore into a directory", other.name),
                          "Leave it out with --in-place.");
    }
    return {};
}

Result<int> run_store(Session& session, const engine::StoreModule& module, const StoreRestoreOptions& options) {
    AETERNA_TRY(check_in_place(module, options));
    if (options.in_place.wanted) {
        engine::RestoreOrder order;
        order.to = options.to;
        order.timeline = options.timeline;
        order.series = options.series;
        return restore_in_place(session, module, order, options.in_place, options.dry_run, options.yes);
    }
    const env::Context context = session.context(kRepositoryTimeout);
    const bool is_server = options.into.find("://") != std::string::npos;
    AETERNA_TRY(check_options(module, options, is_server));
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    const auto restorer = is_server ? module.make_loader(session.env()) : module.make_restorer();
    engine::RestoreOrder order;
    order.to = options.to;
    order.timeline = options.timeline;
    order.series = options.series;
    order.archive_command = archive_command(session, *place);
    order.into = is_server ? options.into : session.env().files.canonical(options.into);
    order.options = options.values;
    order.workers = worker_count();
    order.progress = progress_lines(session);
    AETERNA_ASSIGN(const engine::RestorePlan plan, restorer->plan(*opened, order, context));
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
        AETERNA_ASSIGN(const auto result, restorer->restore(*opened, order, plan, context));
        const Duration took = session.env().clock.now() - begun;
        document["restored_files"] = result.files;
        document["restored_bytes"] = result.bytes;
        document["kept_bytes"] = result.kept_bytes;
        document["seconds"] = to_seconds(took);
        if (!session.options.json) {
            const std::string files = is_server ? "" : fmt::format("{} files, ", result.files);
            session.print(fmt::format("{}{} restored into '{}' in {}", files, human_bytes(result.bytes), order.into,
                                      format_duration(took)));
        }
    }
    if (session.options.json) session.print_json(Json{{"restore", document}});
    return 0;
}

void add_store_restores(CLI::App& command, Session& session) {
    for (const auto& module : store_modules()) {
        const auto specific = module->restore_options();
        if (!specific) continue;
        auto options = std::make_shared<StoreRestoreOptions>();
        CLI::App* store = command.add_subcommand(std::string(module->name()), "A server of its own out of a backup, or databases into a running one");
        store->add_option("--to", options->to, "latest, a time with its offset, lsn:X, name:POINT, xid:N, or a backup's id or its unique beginning")->type_name("WHEN");
        store->add_option("--timeline", options->timeline, "Of which history, where there are several; the newest otherwise")->type_name("N");
        store->add_option("--name", options->series, "Which series of backups, where there are several")->type_name("NAME");
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
        store->add_option("--superuser", options->in_place.superuser, "In place: of the cluster; else 'postgres'")
            ->type_name("NAME");
        store->add_flag("--during-maintenance", options->in_place.during_maintenance,
                        "In place: although a maintenance window holds");
        store->add_flag("--dry-run", options->dry_run, "Check, and say what would be done");
        store->add_flag("--yes", options->yes, "Overwrite what is there without a question");
        add_store_options(*store, *specific, options->values);
        add_store_options(*store, of_servers, options->values);
        store->callback([&session, options, &one = *module] {
            session.run([&session, options, &one] { return run_store(session, one, *options); });
        });
    }
}

}  // namespace

void add_restore_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<RestoreOptions>();
    CLI::App* command = app.add_subcommand("restore", "Bring data back");
    command->require_subcommand(1);
    CLI::App* files = command->add_subcommand("files", "A backup of files into a directory");
    files->add_option("BACKUP", options->backup, "Its id, the unique beginning of one, or 'latest'")->required();
    files->add_option("--into", options->into, "A new or empty directory")->required()->type_name("DIR");
    CLI::Option* delta =
        files->add_flag("--delta", options->delta,
                        "The target may hold another state: it is overwritten, and only what differs is fetched");
    files
        ->add_option("--delta-from", options->delta_from,
                     "A directory with another state: what it has is copied from there")
        ->type_name("DIR")
        ->check(CLI::ExistingDirectory)
        ->excludes(delta);
    files->add_flag("--yes", options->yes, "Overwrite what is there without a question");
    files->callback([&session, options] { session.run([&session, options] { return run_files(session, *options); }); });
    add_store_restores(*command, session);
}

}  // namespace aeterna::app
