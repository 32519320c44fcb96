// archive-get and archive-push: PostgreSQL's restore_command and archive_command.
//
// archive-get: 0: the file is there; 1: it certainly does not exist; 255: everything else, because PostgreSQL takes every other
// code up to 125 for the end of WAL. archive-push: 0: durable in the repository; everything else: the server keeps the file
// and asks again.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/open_repository.h"
#include "env/posix/file_system.h"

namespace aeterna::app {
namespace {

constexpr int kNotThere = 1;
constexpr Duration kArchiveTimeout = std::chrono::minutes(5);

template <class Work>
Result<int> with_archive(const Session& session, Work work) {
    const env::Context context = session.context(kArchiveTimeout);
    const auto files = env::make_posix_file_system();
    std::unique_ptr<engine::Archive> archive;
    for (const auto& module : store_modules()) {
        if (!archive) archive = module->make_archive(session.env(), *files);
    }
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, std::nullopt, context));
    return work(*archive, *opened, context);
}

Result<int> run_get(const Session& session, const engine::ArchiveRequest& request) {
    return with_archive(session, [&](engine::Archive& archive, repository::Repository& opened, const env::Context& context) -> Result<int> {
        AETERNA_ASSIGN(const auto answer, archive.get(opened, request, context));
        return answer == engine::ArchiveAnswer::kServed ? 0 : kNotThere;
    });
}

Result<int> run_push(const Session& session, const engine::ArchivePush& request) {
    return with_archive(session, [&](engine::Archive& archive, repository::Repository& opened, const env::Context& context) -> Result<int> {
        AETERNA_TRY(archive.push(opened, request, context));
        return 0;
    });
}

}  // namespace

void add_archive_get_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<engine::ArchiveRequest>();
    request->data_directory = ".";
    CLI::App* command = app.add_subcommand("archive-get", "restore_command = 'aeterna-dr --repo … --key-file … archive-get %f %p'");
    command->add_option("file", request->file, "%f: a WAL segment or a history file")->required()->type_name("FILE");
    command->add_option("into", request->into, "%p: where to put it")->required()->type_name("PATH");
    command->add_option("--cluster", request->cluster, "System identifier; else of the data directory that it runs in")->type_name("ID");
    command->add_option("--wal-segment-size", request->segment_bytes, "Bytes; else of the data directory, else 16 MiB")->type_name("N");
    command->add_option("--from", request->from, "Nothing before this position is there")->type_name("LSN");
    command->add_option("--until", request->until, "The history ends at this position")->type_name("LSN");
    command->callback([&session, request] {
        session.fail_with(kArchiveFailed);
        session.run([&session, request] { return run_get(session, *request); });
    });
}

void add_archive_push_command(CLI::App& app, Session& session) {
    auto request = std::make_shared<engine::ArchivePush>();
    request->data_directory = ".";
    CLI::App* command = app.add_subcommand("archive-push", "archive_command = 'aeterna-dr --repo … --key-file … archive-push %p %f'");
    command->add_option("from", request->from, "%p: where it is")->required()->type_name("PATH");
    command->add_option("file", request->file, "%f: a WAL segment or a history file")->required()->type_name("FILE");
    command->add_option("--data-directory", request->data_directory, "Of the server; else where it runs")->type_name("DIR");
    command->add_flag("--new-cluster", request->accepts_new_cluster, "Once: the repository has another cluster's WAL, and this one's is to lie beside it");
    command->callback([&session, request] { session.run([&session, request] { return run_push(session, *request); }); });
}

}  // namespace aeterna::app
