// backup files: a directory with everything in it becomes one backup in the repository; backup STORE: a store by its own
// protocol. backup watch has its own file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/backup_watch.h"
#include "app/cli/commands.h"
#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/store_options.h"

namespace aeterna::app {
namespace {

struct BackupOptions {
    std::string from, name;
    bool read_all = false;
};

// `document` and `line` are the backup for scripts and for people.
int show(const Session& session, const repository::BackupResult& result, Json document, const std::string& line) {
    for (const std::string& problem : result.problems) session.progress("not as it should be: " + problem);
    document["problem_lines"] = result.problems;
    if (session.options.json) session.print_json(Json{{"backup", document}});
    else session.print(line);
    // What is in the repository is whole, but it is not all that was asked for.
    return result.problem_count == 0 ? 0 : exit_code(ErrorCode::kPartial);
}

std::string stored_text(const repository::Backup& backup) {
    return fmt::format("stored {} in {}", human_bytes(backup.stored_bytes),
                       format_duration(backup.finished_at - backup.started_at));
}

Result<int> run_files(Session& session, const BackupOptions& options) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kWrite, context));
    repository::BackupRequest request;
    request.from = session.env().files.canonical(options.from);
    request.header.kind = "files";
    request.header.name = options.name;
    request.trust_times = !options.read_all;
    request.workers = worker_count();
    request.progress = progress_lines(session);
    AETERNA_ASSIGN(const auto result, repository::back_up_tree(*opened, request, context));
    const repository::Backup& backup = result.backup;
    Json document = backup_json(backup);
    document["known_files"] = result.known_files;
    return show(session, result, std::move(document),
                fmt::format("{}  {} files ({} known), {}, {}", backup.id, backup.files, result.known_files,
                            human_bytes(backup.bytes), stored_text(backup)));
}

struct StoreBackupOptions {
    std::string node;
    engine::OptionValues values;
};

int show_store_backup(const Session& session, const repository::BackupResult& result) {
    const repository::Backup& backup = result.backup;
    const std::string from = backup.node.empty() ? fmt::format("{} by {}", human_bytes(backup.bytes), engine_of(backup))
                                                 : fmt::format("{} files, {} from '{}'", backup.files,
                                                               human_bytes(backup.bytes), backup.node);
    return show(session, result, backup_json(backup), fmt::format("{}  {}, {}", backup.id, from, stored_text(backup)));
}

Result<int> run_store(Session& session, const std::string& name, const StoreBackupOptions& options) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(OpenStack * stack, session.open());
    AETERNA_ASSIGN(engine::Store * store, stack->find(name));
    engine::BackupOrder order;
    order.node = options.node;
    order.options = options.values;
    order.workers = worker_count();
    order.progress = progress_lines(session);
    order.note = [&session](const std::string& line) { session.progress(line); };
    AETERNA_ASSIGN(const auto engine, find_engine(session, name));
    if (engine && engine->takes(order.options)) {
        AETERNA_ASSIGN(const auto result, engine->back_up(order, context));
        return show_store_backup(session, result);
    }
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kWrite, context));
    AETERNA_ASSIGN(const auto result, store->back_up(*opened, order, context));
    return show_store_backup(session, result);
}

void add_store_backups(CLI::App& command, Session& session) {
    for (const auto& module : store_modules()) {
        const auto specific = module->backup_options();
        if (!specific) continue;
        const std::string name(module->name());
        auto options = std::make_shared<StoreBackupOptions>();
        CLI::App* store = command.add_subcommand(name, "The stack's " + name + ", streamed from a replica");
        store->add_option("--node", options->node, "From this node")->type_name("NODE");
        add_store_options(*store, *specific, options->values);
        store->callback([&session, options, name] {
            session.run([&session, options, name] { return run_store(session, name, *options); });
        });
    }
}

}  // namespace

void add_backup_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<BackupOptions>();
    CLI::App* command = app.add_subcommand("backup", "Put data into the repository");
    command->require_subcommand(1);
    CLI::App* files = command->add_subcommand("files", "Any directory: configuration, ACL files");
    files->add_option("--from", options->from, "The directory")->required()->type_name("DIR");
    files->add_option("--name", options->name, "Which series of backups it belongs to")->required()->type_name("NAME");
    files->add_flag("--read-all", options->read_all, "Read files too whose size, times and inode are as they were");
    files->callback([&session, options] { session.run([&session, options] { return run_files(session, *options); }); });
    add_store_backups(*command, session);
    add_backup_watch_command(*command, session);
}

}  // namespace aeterna::app
