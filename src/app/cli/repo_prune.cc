// repo prune|unlock and backups forget: what leaves the repository.
#include "app/cli/repo_prune.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/cli/render_status.h"
#include "repository/pipeline/prune.h"

namespace aeterna::app {
namespace {

struct PruneOptions {
    repository::RetentionPolicy policy;
    std::string within;
    bool dry_run = false;
};

Json logs_json(const std::vector<repository::LogDecision>& decisions) {
    const char* acts[] = {"keep", "trim", "remove"};
    Json list = Json::array();
    for (const auto& decision : decisions) {
        list.push_back({{"log", decision.log},
                        {"act", acts[static_cast<std::size_t>(decision.act)]},
                        {"reason", decision.reason}});
    }
    return list;
}

void show_prune(const Session& session, const PruneOptions& options, const repository::PruneReport& report) {
    if (session.options.json) {
        Json decisions = Json::array();
        for (const auto& decision : report.decisions) {
            decisions.push_back(
                {{"backup", decision.backup}, {"kept", decision.is_kept}, {"reason", decision.reason}});
        }
        session.print_json(Json{{"prune",
                                 {{"dry_run", options.dry_run},
                                  {"decisions", decisions},
                                  {"removed_packs", report.removed_packs + report.unknown_packs},
                                  {"removed_bytes", report.removed_bytes},
                                  {"waiting_packs", report.waiting_packs},
                                  {"copied_bytes", report.copied_bytes},
                                  {"logs", logs_json(report.logs)},
                                  {"removed_log_pieces", report.removed_log_pieces}}}});
        return;
    }
    for (const auto& decision : report.decisions) {
        session.print(fmt::format("{:<6}  {}  {}", decision.is_kept ? "keep" : "forget", decision.backup, decision.reason));
    }
    for (const Json& log : logs_json(report.logs)) {
        session.print(fmt::format("{:<6}  {}  {}", find_string(log, "act").value_or(""),
                                  find_string(log, "log").value_or(""), find_string(log, "reason").value_or("")));
    }
    if (options.dry_run) return;
    session.print(fmt::format("{} packs removed ({}), {} copied", report.removed_packs + report.unknown_packs,
                              human_bytes(static_cast<std::int64_t>(report.removed_bytes)),
                              human_bytes(static_cast<std::int64_t>(report.copied_bytes))));
    if (report.waiting_packs > 0) {
        session.progress(fmt::format("{} packs wait for sessions that may still read them", report.waiting_packs));
    }
}

Result<int> run_prune(Session& session, PruneOptions options) {
    if (!options.within.empty()) {
        AETERNA_ASSIGN(options.policy.within, parse_duration(options.within));
    }
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened,
                   place->open(session, repository::SessionKind::kPrune, context));
    AETERNA_ASSIGN(const auto report, repository::prune(*opened, {options.policy, options.dry_run}, context));
    show_prune(session, options, report);
    return 0;
}

Result<int> run_unlock(Session& session) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_TRY(place->open(session, {}, context));
    AETERNA_ASSIGN(const auto removed, repository::remove_stale_sessions(place->storage(), context));
    AETERNA_ASSIGN(const auto left, repository::list_sessions(place->storage(), context));
    if (session.options.json) {
        session.print_json(Json{{"unlock", {{"removed", removed.size()}, {"left", left.size()}}}});
    } else {
        session.print(fmt::format("{} stale sessions removed, {} are alive", removed.size(), left.size()));
    }
    return 0;
}

Result<int> run_forget(Session& session, const std::string& id) {
    const env::Context context = session.context();
    AETERNA_ASSIGN(const auto of_engine, find_engines_backup(session, id, context));
    if (of_engine) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is kept by {}, whose own rules say what it forgets", of_engine->id, engine_of(*of_engine)),
                          "Let it expire there.");
    }
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, {}, context));
    AETERNA_ASSIGN(const auto backup, opened->catalog().find(id, context));
    AETERNA_ASSIGN(const auto backups, opened->catalog().all(context));
    const auto is_same_series = [&](const repository::Backup& other) {
        return other.id != backup.id && other.kind == backup.kind && other.store == backup.store &&
               other.name == backup.name;
    };
    if (std::none_of(backups.begin(), backups.end(), is_same_series)) {
        return make_error(ErrorCode::kGuardRefused, fmt::format("'{}' is the last backup of '{}'", backup.id, backup.name),
                          "Make another one first: the last way back is not forgotten.");
    }
    AETERNA_TRY(place->storage().remove(repository::backup_object_name(backup.id), context));
    if (session.options.json) session.print_json(Json{{"forgotten", backup_json(backup)}});
    else session.print(fmt::format("forgotten: {}; 'repo prune' frees its space", backup.id));
    return 0;
}

}  // namespace

void add_prune_commands(CLI::App& repo, Session& session) {
    auto options = std::make_shared<PruneOptions>();
    CLI::App* prune = repo.add_subcommand("prune", "Forget old backups and free what none needs; keeps all unless told");
    repository::RetentionPolicy& policy = options->policy;
    prune->add_option("--keep-last", policy.last, "The newest N of each series")->type_name("N");
    prune->add_option("--keep-hourly", policy.hourly, "The newest of each of the last N hours")->type_name("N");
    prune->add_option("--keep-daily", policy.daily, "Of each of the last N days (UTC)")->type_name("N");
    prune->add_option("--keep-weekly", policy.weekly, "Of each of the last N weeks")->type_name("N");
    prune->add_option("--keep-monthly", policy.monthly, "Of each of the last N months")->type_name("N");
    prune->add_option("--keep-within", options->within, "Everything that is younger (30d)")->type_name("DURATION");
    prune->add_flag("--dry-run", options->dry_run, "Only say what would be forgotten, and why");
    prune->callback([&session, options] { session.run([&session, options] { return run_prune(session, *options); }); });
    CLI::App* unlock = repo.add_subcommand("unlock", "Remove the sessions of the dead; those alive are left alone");
    unlock->callback([&session] { session.run([&session] { return run_unlock(session); }); });
}

void add_forget_command(CLI::App& backups, Session& session) {
    auto id = std::make_shared<std::string>();
    CLI::App* forget = backups.add_subcommand("forget", "Take one out of the catalog; prune frees its space");
    forget->add_option("BACKUP", *id, "Its id, or the unique beginning of one")->required();
    forget->callback([&session, id] { session.run([&session, id] { return run_forget(session, *id); }); });
}

}  // namespace aeterna::app
