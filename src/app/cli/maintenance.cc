// maintenance on|off|list: times in which serve begins nothing by itself. In the journal, so that serve knows at once
// and after its own restart.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "app/cli/commands.h"
#include "app/cli/session.h"
#include "app/daemon/orders.h"

namespace aeterna::app {
namespace {

// A forgotten window is a stack without a guard.
constexpr Duration kLongest = std::chrono::hours(7 * 24);
constexpr std::size_t kLongestReason = 200;

struct MaintenanceOptions {
    std::string store;
    std::string length = "2h";
    std::string reason;
    bool all = false;
};

Json to_json(const engine::MaintenanceRecord& window, WallTime now) {
    return Json{{"id", window.id},
                {"store", window.store.empty() ? Json(nullptr) : Json(window.store)},
                {"reason", window.reason},
                {"started_at", format_time(window.started_at)},
                {"until", format_time(window.until)},
                {"ended_at", window.ended_at ? Json(format_time(*window.ended_at)) : Json(nullptr)},
                {"holds", window.holds(now)}};
}

void print_windows(const Session& session, const char* key, const std::vector<engine::MaintenanceRecord>& windows) {
    const WallTime now = session.env().clock.wall_now();
    if (session.options.json) {
        Json document{{key, Json::array()}};
        for (const auto& window : windows) document[key].push_back(to_json(window, now));
        session.print_json(document);
        return;
    }
    for (const auto& window : windows) {
        session.print(fmt::format("{}  {:<5}  {}", window.id, window.holds(now) ? "holds" : "over", describe(window)));
    }
}

Result<int> run_on(Session& session, const MaintenanceOptions& options) {
    AETERNA_ASSIGN(const Duration length, parse_duration(options.length));
    if (length <= Duration::zero() || length > kLongest) {
        return make_error(ErrorCode::kUsage, fmt::format("--for '{}' is not between 1s and 7d", options.length),
                          "A window ends by itself; begin another one when the work takes longer.");
    }
    if (options.reason.size() > kLongestReason) {
        return make_error(ErrorCode::kUsage, fmt::format("--reason is longer than {} bytes", kLongestReason));
    }
    AETERNA_ASSIGN(OpenStack * open, session.open());
    if (!options.store.empty()) AETERNA_TRY(open->find(options.store));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    engine::MaintenanceRecord window;
    window.started_at = session.env().clock.wall_now();
    window.id = engine::make_record_id("maint", window.started_at, session.env().random.next());
    window.store = options.store;
    window.reason = options.reason;
    window.until = window.started_at + std::chrono::duration_cast<WallTime::duration>(length);
    AETERNA_TRY(journal->put_maintenance(window));
    print_windows(session, "maintenance", {window});
    return 0;
}

Result<int> run_off(Session& session, const MaintenanceOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    if (!options.store.empty()) AETERNA_TRY(open->find(options.store));
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    const WallTime now = session.env().clock.wall_now();
    AETERNA_ASSIGN(const auto windows, journal->maintenance(now));
    std::vector<engine::MaintenanceRecord> ended;
    for (engine::MaintenanceRecord window : windows) {
        if (!window.holds(now) || (!options.store.empty() && window.store != options.store)) continue;
        window.ended_at = now;
        AETERNA_TRY(journal->put_maintenance(window));
        ended.push_back(std::move(window));
    }
    if (ended.empty()) session.progress("no maintenance window holds");
    print_windows(session, "ended", ended);
    if (options.store.empty()) return 0;
    for (const engine::MaintenanceRecord& window : windows) {
        if (window.holds(now) && window.store.empty()) session.progress("still holds: " + describe(window));
    }
    return 0;
}

Result<int> run_list(Session& session, const MaintenanceOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    AETERNA_ASSIGN(const auto journal, session.open_journal(open->stack));
    const WallTime now = session.env().clock.wall_now();
    AETERNA_ASSIGN(auto windows, journal->maintenance(options.all ? WallTime{} : now));
    if (!options.all) std::erase_if(windows, [&](const auto& window) { return !window.holds(now); });
    if (windows.empty()) session.progress("no maintenance window");
    print_windows(session, "maintenance", windows);
    return 0;
}

}  // namespace

void add_maintenance_command(CLI::App& app, Session& session) {
    auto options = std::make_shared<MaintenanceOptions>();
    CLI::App* command = app.add_subcommand("maintenance", "Times in which nothing is begun by itself");
    command->require_subcommand(1);
    CLI::App* on = command->add_subcommand("on", "Begin a window; it ends by itself");
    on->add_option("--store", options->store, "Only for this store (default: every store)");
    on->add_option("--for", options->length, "How long (30m, 2h; at most 7d)")->capture_default_str();
    on->add_option("--reason", options->reason, "Shown wherever the window is");
    on->callback([&session, options] { session.run([&session, options] { return run_on(session, *options); }); });
    CLI::App* off = command->add_subcommand("off", "End the windows that hold");
    off->add_option("--store", options->store, "Only those of this store");
    off->callback([&session, options] { session.run([&session, options] { return run_off(session, *options); }); });
    CLI::App* list = command->add_subcommand("list", "The windows that hold");
    list->add_flag("--all", options->all, "Those that are over, too");
    list->callback([&session, options] { session.run([&session, options] { return run_list(session, *options); }); });
}

}  // namespace aeterna::app
