// backups list|show (forget is in repo_prune.cc): what is in the repository's catalog.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/repo_prune.h"
#include "app/cli/restore_test_report.h"
#include "engine/restore_test/history.h"
#include "repository/pipeline/entry_reader.h"

namespace aeterna::app {
namespace {

struct BackupsOptions {
    std::string id, path;
    bool files = false;
};

Result<int> run_backups_list(Session& session) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto backups, list_backups(session, context));
    AETERNA_ASSIGN(const auto tests, known_tests(session));
    if (session.options.json) {
        Json list = Json::array();
        for (const auto& backup : backups) {
            list.push_back(backup_json(backup));
            list.back()["last_test"] = last_test_json(tests, backup.id);
        }
        session.print_json(Json{{"backups", list}});
        return 0;
    }
    if (backups.empty()) session.progress("no backup");
    for (const auto& backup : backups) {
        const std::string engine = engine_of(backup);
        session.print(fmt::format("{}  {:<8}  {:<20}  {:>10}  stored {:>10}{}{}", backup.id, backup.kind, backup.name,
                                  human_bytes(backup.bytes), human_bytes(backup.stored_bytes),
                                  engine == "native" ? "" : "  by " + engine,
                                  backup.store.empty() ? "" : "  " + last_test_text(tests, backup.id)));
    }
    return 0;
}

Json record_json(const repository::FileRecord& record) {
    const char* types[] = {"file", "directory", "link"};
    WallTime modified{std::chrono::duration_cast<WallTime::duration>(Duration(record.info.mtime_ns))};
    return Json{{"path", record.path},
                {"type", types[static_cast<std::size_t>(record.info.type)]},
                {"mode", fmt::format("{:04o}", record.info.mode)},
                {"uid", record.info.uid},
                {"gid", record.info.gid},
                {"bytes", record.info.type == env::NodeType::kFile ? record.info.size : 0},
                {"modified_at", format_time(modified)},
                {"digest", record.info.type == env::NodeType::kFile ? Json(record.digest.to_hex()) : Json(nullptr)},
                {"target", record.info.type == env::NodeType::kSymlink ? Json(record.target) : Json(nullptr)}};
}

std::string record_line(const repository::FileRecord& record) {
    const Json json = record_json(record);
    return fmt::format("{:<9}  {}  {:>10}  {}  {}", find_string(json, "type").value_or(""),
                       find_string(json, "mode").value_or(""), human_bytes(record.info.size),
                       find_string(json, "modified_at").value_or(""), record.path.empty() ? "." : record.path);
}

Status show_files(const Session& session, repository::EntryReader& reader, const repository::Backup& backup,
                  Json& document) {
    document["nodes"] = Json::array();
    repository::ManifestCursor cursor(reader);
    AETERNA_TRY(cursor.open(backup));
    while (true) {
        AETERNA_ASSIGN(const repository::FileRecord* record, cursor.next());
        if (record == nullptr) return {};
        if (session.options.json) document["nodes"].push_back(record_json(*record));
        else session.print(record_line(*record));
    }
}

void print_members(const Session& session, const Json& document) {
    for (const auto& [key, value] : document.items()) {
        session.print(fmt::format("{:<13} {}", key, value.is_string() ? value.get<std::string>() : value.dump()));
    }
}

Result<int> show_engines(const Session& session, const BackupsOptions& options, const repository::Backup& backup) {
    if (options.files || !options.path.empty()) {
        return make_error(ErrorCode::kUsage, fmt::format("'{}' is kept by {}, which does not say here what is in it", backup.id, engine_of(backup)),
                          "Leave --files and --path out.");
    }
    const Json document = backup_json(backup);
    if (session.options.json) session.print_json(Json{{"backup", document}});
    else print_members(session, document);
    return 0;
}

Result<int> run_show(Session& session, const BackupsOptions& options) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto of_engine, find_engines_backup(session, options.id, context));
    if (of_engine) return show_engines(session, options, *of_engine);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    const bool needs_index = options.files || !options.path.empty();
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, needs_index ? std::optional(repository::SessionKind::kRead) : std::nullopt, context));
    AETERNA_ASSIGN(const repository::Backup backup, opened->catalog().find(options.id, context));
    AETERNA_ASSIGN(const auto tests, known_tests(session));
    Json document = backup_json(backup);
    document["last_test"] = last_test_json(tests, backup.id);
    repository::EntryReader reader(*opened, context);
    if (!options.path.empty()) {
        AETERNA_ASSIGN(const auto record, repository::find_record(reader, backup, options.path));
        document["nodes"] = Json::array({record_json(record)});
        if (!session.options.json) session.print(record_line(record));
    } else if (options.files) {
        AETERNA_TRY(show_files(session, reader, backup, document));
    } else if (!session.options.json) {
        print_members(session, document);
    }
    if (session.options.json) session.print_json(Json{{"backup", document}});
    return 0;
}

}  // namespace

void add_backups_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<BackupsOptions>();
    CLI::App* command = app.add_subcommand("backups", "What is in the repository");
    command->require_subcommand(1);
    CLI::App* list = command->add_subcommand("list", "Every backup, oldest first");
    list->callback([&session] { session.run([&session] { return run_backups_list(session); }); });
    CLI::App* show = command->add_subcommand("show", "One backup");
    show->add_option("BACKUP", options->id, "Its id, the unique beginning of one, or 'latest'")->required();
    show->add_flag("--files", options->files, "Everything in it");
    show->add_option("--path", options->path, "Only this path")->type_name("PATH");
    show->callback([&session, options] { session.run([&session, options] { return run_show(session, *options); }); });
    add_forget_command(*command, session);
}

}  // namespace aeterna::app
