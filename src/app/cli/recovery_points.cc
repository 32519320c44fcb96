// recovery-points: what can be restored, as ranges of time.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/commands.h"
#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/registry.h"

namespace aeterna::app {
namespace {

Json gap_json(const engine::RecoveryWindow& window) {
    if (!window.gap) return nullptr;
    return Json{{"from", window.to},
                {"from_time", window.until ? Json(format_time(*window.until)) : Json(nullptr)},
                {"to", window.gap->to.empty() ? Json(nullptr) : Json(window.gap->to)},
                {"to_time", window.gap->to_time ? Json(format_time(*window.gap->to_time)) : Json(nullptr)},
                {"missing", window.gap->missing}};
}

Json window_json(const std::string& store, const std::string& engine, const engine::RecoveryWindow& window) {
    return Json{{"store", store},
                {"engine", engine},
                {"name", window.series},
                {"cluster", window.cluster},
                {"backups", window.backups},
                {"timeline", window.timeline},
                {"from", window.from},
                {"to", window.to},
                {"since", format_time(window.since)},
                {"earliest", window.earliest ? Json(format_time(*window.earliest)) : Json(nullptr)},
                {"until", window.until ? Json(format_time(*window.until)) : Json(nullptr)},
                {"gap", window.ends_because.empty() ? Json(nullptr) : Json(window.ends_because)},
                {"not_restorable", gap_json(window)}};
}

void print_window(const Session& session, const std::string& store, const engine::RecoveryWindow& window) {
    // Where nothing was committed behind the backup no time can be asked for.
    const WallTime first = window.earliest.value_or(window.since), last = window.until.value_or(first);
    const std::string until = format_time(std::max(first, last));
    session.print(fmt::format("{} {}  {}{}  ({} to {}, timeline {})", store, window.series, format_time(first),
                              last > first ? " to " + until : "", window.from, window.to, window.timeline));
    session.print(
        fmt::format("  from backup {}{}", window.backups.front(),
                    window.backups.size() > 1 ? fmt::format(" and {} later", window.backups.size() - 1) : ""));
    if (window.gap) {
        const std::string to = window.gap->to_time
                                   ? fmt::format("{} ({})", format_time(*window.gap->to_time), window.gap->to)
                                   : "the next backup";
        session.print(
            fmt::format("  not restorable between {} ({}) and {}: {}", until, window.to, to, window.ends_because));
    } else if (!window.ends_because.empty()) {
        session.print(fmt::format("  not restorable behind it: {}", window.ends_because));
    }
}

struct PointsOptions {
    std::string store;
    bool exit_code = false;
};

Result<int> run_points(Session& session, const PointsOptions& options) {
    const std::string& wanted = options.store;
    bool has_gap = false;
    const env::Context context = session.context(kRepositoryTimeout);
    AETERNA_ASSIGN(const auto engines, find_engines(session));
    AETERNA_ASSIGN(const bool has_repository, wants_repository(session, engines));
    Json list = Json::array();
    const auto show = [&](const std::string& store, const std::string& engine, const std::vector<engine::RecoveryWindow>& windows) {
        for (const engine::RecoveryWindow& window : windows) {
            list.push_back(window_json(store, engine, window));
            has_gap = has_gap || window.gap;
            if (!session.options.json) print_window(session, store, window);
        }
    };
    for (const StoreEngine& one : engines) {
        if (!wanted.empty() && wanted != one.store) continue;
        AETERNA_ASSIGN(const auto windows, one.engine->recovery_windows(context));
        show(one.store, one.engine->name(), windows);
    }
    if (has_repository) {
        AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
        AETERNA_ASSIGN(repository::Repository * opened, place->open(session, repository::SessionKind::kRead, context));
        for (const auto& module : store_modules()) {
            const auto restorer = module->make_restorer(session.env());
            if (!restorer || (!wanted.empty() && wanted != module->name())) continue;
            AETERNA_ASSIGN(const auto windows, restorer->recovery_windows(*opened, context));
            show(std::string(module->name()), "native", windows);
        }
    }
    if (session.options.json) session.print_json(Json{{"recovery_points", list}});
    else if (list.empty()) session.progress("nothing can be restored");
    return options.exit_code && (has_gap || list.empty()) ? 1 : 0;
}

}  // namespace

void add_recovery_points_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<PointsOptions>();
    CLI::App* command = app.add_subcommand("recovery-points", "What can be restored; reads all that was captured");
    command->add_option("STORE", options->store, "Only this one");
    command->add_flag("--exit-code", options->exit_code, "Exit 1 when something between two points is missing, or nothing can be restored");
    command->callback([&session, options] { session.run([&session, options] { return run_points(session, *options); }); });
}

}  // namespace aeterna::app
