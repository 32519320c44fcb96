// repo init|check|stats|key: the repository itself; prune and unlock are in repo_prune.cc.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "app/cli/repo_copy.h"
#include "app/cli/repo_prune.h"
#include "base/strings.h"
#include "repository/pipeline/check.h"

namespace aeterna::app {
namespace {

struct RepoOptions {
    std::string read_data, new_key_file, label = "added", slot, escrow_file;
};

// The credential in the file; a missing file is made with a random key.
Result<repository::Credential> key_for_init(Session& session, const std::string& path) {
    if (path.empty()) return read_credential(session, path);
    if (session.env().files.exists(path)) return read_credential(session, path);
    const repository::Credential key = repository::make_key(session.env().random);
    AETERNA_TRY(session.env().files.write_durable(path, repository::key_file_text(key), 0600));
    session.progress(fmt::format("a new key is in '{}'; keep a copy elsewhere: without it no backup can be read", path));
    return key;
}

Result<int> run_repo_init(Session& session) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_TRY(place->check_for_init(context));
    AETERNA_ASSIGN(const auto credential, key_for_init(session, place->key_file()));
    AETERNA_TRY(repository::Repository::init(place->storage(), credential, {}, place->ports(), context));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, {}, context));
    const std::string_view hash = repository::hash_name(opened->keys().hash_kind);
    if (session.options.json) {
        session.print_json(
            Json{{"repository", {{"place", place->storage().describe()}, {"id", opened->id()}, {"hash", hash}}}});
    } else {
        session.print(fmt::format("repository {} is at '{}'", opened->id(), place->storage().describe()));
    }
    return 0;
}

// "": none; "all" (the flag alone): 100; "10%": 10.
Result<unsigned> percent_of(const std::string& text) {
    if (text.empty()) return 0U;
    if (text == "all") return 100U;
    const auto number = text.back() == '%' ? to_integer(text.substr(0, text.size() - 1)) : std::nullopt;
    if (number && *number >= 1 && *number <= 100) return static_cast<unsigned>(*number);
    return make_error(ErrorCode::kUsage, fmt::format("--read-data '{}' is no share of the packs", text),
                      "Write --read-data for all of them, or --read-data=10%.");
}

// Of our own repository.
Result<int> check_own(Session& session, unsigned percent, Json& document, const env::Context& context) {
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    AETERNA_ASSIGN(const auto report, repository::check_repository(*opened, {percent}, context));
    document = Json{{"healthy", report.problem_count == 0},
                    {"packs", report.packs},
                    {"pack_bytes", report.pack_bytes},
                    {"entries", report.entries},
                    {"backups", report.backups},
                    {"packs_read", report.packs_read},
                    {"bytes_read", report.bytes_read},
                    {"unused_packs", report.unused_packs},
                    {"logs", report.logs},
                    {"noted_entries", report.noted_entries},
                    {"replaced_entries", report.replaced_entries},
                    {"problems", report.problems},
                    {"hit_backups", report.hit_backups}};
    if (!session.options.json) {
        for (const std::string& problem : report.problems) session.print(problem);
        session.print(fmt::format("{} packs ({}), {} entries, {} backups; {} packs read: {}", report.packs,
                                  human_bytes(report.pack_bytes), report.entries, report.backups, report.packs_read,
                                  report.problem_count == 0 ? "all is well"
                                                            : fmt::format("{} problems", report.problem_count)));
        if (report.noted_entries > 0) {
            session.progress(fmt::format("{} damaged entries are noted: the next backup that has them stores them anew",
                                         report.noted_entries));
        }
    }
    return report.problem_count == 0 ? 0 : exit_code(ErrorCode::kCorrupt);
}

Result<int> run_check(Session& session, const RepoOptions& options) {
    AETERNA_ASSIGN(const unsigned percent, percent_of(options.read_data));
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, engines));
    Json own, of_engines;
    int code = 0;
    if (has_repository) {
        AETERNA_ASSIGN(code, check_own(session, percent, own, context));
    }
    AETERNA_ASSIGN(const int engines_code, check_engines(session, engines, of_engines, context));
    if (session.options.json) session.print_json(Json{{"check", own}, {"engines", of_engines}});
    return code != 0 ? code : engines_code;
}

Result<int> run_stats(Session& session) {
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
    std::uint64_t packs = 0, pack_bytes = 0, other_bytes = 0, entries = 0, plain_bytes = 0;
    AETERNA_TRY(place->storage().list(
        "",
        [&](const repository::ObjectInfo& object) {
            const bool is_pack = object.name.rfind("packs/", 0) == 0;
            packs += is_pack ? 1 : 0;
            (is_pack ? pack_bytes : other_bytes) += object.bytes;
            return true;
        },
        context));
    AETERNA_TRY(opened->index().for_each([&](const repository::Location& row) -> Status {
        ++entries;
        plain_bytes += row.entry.plain_bytes;
        return {};
    }));
    AETERNA_ASSIGN(const auto ids, opened->catalog().ids(context));
    if (session.options.json) {
        session.print_json(Json{{"stats",
                                 {{"id", opened->id()},
                                  {"hash", repository::hash_name(opened->keys().hash_kind)},
                                  {"backups", ids.size()},
                                  {"packs", packs},
                                  {"pack_bytes", pack_bytes},
                                  {"other_bytes", other_bytes},
                                  {"entries", entries},
                                  {"plain_bytes", plain_bytes}}}});
    } else {
        session.print(fmt::format("{} backups, {} packs of {}, {} beside them; {} entries of {} before compression",
                                  ids.size(), packs, human_bytes(pack_bytes), human_bytes(other_bytes), entries,
                                  human_bytes(plain_bytes)));
    }
    return 0;
}

void show_slots(const Session& session, const std::vector<repository::KeySlot>& slots) {
    Json list = Json::array();
    for (const auto& slot : slots) {
        list.push_back({{"id", slot.id}, {"kind", slot.kind}, {"label", slot.label}, {"created_at", slot.created_at}});
        if (!session.options.json) {
            session.print(fmt::format("{}  {:<10}  {}  {}", slot.id, slot.kind, slot.created_at, slot.label));
        }
    }
    if (session.options.json) session.print_json(Json{{"keys", list}});
}

Result<int> run_key(Session& session, const RepoOptions& options, const std::string& action) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, {}, context));
    if (action == "add") {
        AETERNA_ASSIGN(const auto credential, read_credential(session, options.new_key_file));
        AETERNA_TRY(opened->add_key(credential, options.label, {}, context));
    }
    if (action == "remove") AETERNA_TRY(opened->remove_key(options.slot, context));
    AETERNA_ASSIGN(const auto slots, opened->key_slots(context));
    show_slots(session, slots);
    return 0;
}

// A new file: an escrow that replaced another repository's would be the loss of that one.
Result<int> run_escrow(Session& session, const RepoOptions& options) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, {}, context));
    if (session.env().files.exists(options.escrow_file)) {
        return make_error(ErrorCode::kAlreadyExists, fmt::format("'{}' exists", options.escrow_file), "Name a new file.");
    }
    AETERNA_TRY(session.env().files.write_durable(options.escrow_file, opened->escrow().reveal(), 0600));
    if (session.options.json) {
        session.print_json(Json{{"escrow", {{"repository", opened->id()}, {"file", options.escrow_file}}}});
    } else {
        session.print(fmt::format("'{}' opens repository {} for ever; keep it where the storage is not",
                                  options.escrow_file, opened->id()));
    }
    return 0;
}

void add_key_commands(CLI::App& repo, Session& session, const std::shared_ptr<RepoOptions>& options) {
    CLI::App* key = repo.add_subcommand("key", "Who can open it");
    key->require_subcommand(1);
    CLI::App* list = key->add_subcommand("list", "Every key");
    CLI::App* add = key->add_subcommand("add", "Let another key file or passphrase in");
    add->add_option("--new-key-file", options->new_key_file, "Its file; a passphrase is the first line")
        ->required()
        ->type_name("FILE");
    add->add_option("--label", options->label, "For people")->capture_default_str();
    CLI::App* remove = key->add_subcommand("remove", "Shut one out; backups stay as they are");
    remove->add_option("KEY", options->slot, "Its id, from list")->required();
    CLI::App* escrow = key->add_subcommand("escrow", "Write a file with which a restore needs nothing else but the storage");
    escrow->add_option("--out", options->escrow_file, "A new file")->required()->type_name("FILE");
    escrow->callback([&session, options] { session.run([&session, options] { return run_escrow(session, *options); }); });
    for (CLI::App* action : {list, add, remove}) {
        action->callback([&session, options, name = action->get_name()] {
            session.run([&session, options, name] { return run_key(session, *options, name); });
        });
    }
}

}  // namespace

void add_repo_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<RepoOptions>();
    CLI::App* command = app.add_subcommand("repo", "Where backups live");
    command->require_subcommand(1);
    CLI::App* init = command->add_subcommand("init", "Make a repository; a missing key file is made too");
    init->callback([&session] { session.run([&session] { return run_repo_init(session); }); });
    CLI::App* check = command->add_subcommand("check", "Is everything there that the catalog promises?");
    check->add_flag("--read-data{all}", options->read_data, "Read the packs too: all, or a share of them (=10%)");
    check->callback([&session, options] { session.run([&session, options] { return run_check(session, *options); }); });
    CLI::App* stats = command->add_subcommand("stats", "How much is in it");
    stats->callback([&session] { session.run([&session] { return run_stats(session); }); });
    add_copy_command(*command, session);
    add_prune_commands(*command, session);
    add_key_commands(*command, session, options);
}

}  // namespace aeterna::app
