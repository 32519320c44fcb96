// archive-push: PostgreSQL's archive_command. 0: durable in the repository; everything else: the server keeps the file and
// asks again.
#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "env/posix/file_system.h"

namespace aeterna::app {
namespace {

constexpr Duration kPushTimeout = std::chrono::minutes(5);

Result<int> run_push(Session& session, const engine::ArchivePush& request) {
    const env::Context context = session.context(kPushTimeout);
    const auto files = env::make_posix_file_system();
    std::unique_ptr<engine::Archive> archive;
    for (const auto& module : store_modules()) {
        if (!archive) archive = module->make_archive(session.env(), *files);
    }
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, std::nullopt, context));
    AETERNA_TRY(archive->push(*opened, request, context));
    return 0;
}

}  // namespace

void add_archive_push_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<engine::ArchivePush>();
    request->data_directory = ".";
    CLI::App* command = app.add_subcommand("archive-push", "archive_command = 'aeterna-dr --repo … --key-file … archive-push %p %f'");
    command->add_option("from", request->from, "%p: where it is")->required()->type_name("PATH");
    command->add_option("file", request->file, "%f: a WAL segment or a history file")->required()->type_name("FILE");
    command->add_option("--data-directory", request->data_directory, "Of the server; else where it runs")->type_name("DIR");
    command->callback([&session, request] { session.run([&session, request] { return run_push(session, *request); }); });
}

}  // namespace aeterna::app
