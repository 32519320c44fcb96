// restore files: one backup into a directory. Interrupted and begun again, it goes on.
#include "repository/pipeline/restore.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/restore_store.h"

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
