#include "app/cli/backup_watch.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/engines.h"
#include "app/cli/open_repository.h"
#include "app/daemon/captures.h"

namespace aeterna::app {
namespace {

constexpr Duration kLineEvery = std::chrono::seconds(10);

struct WatchOptions {
    bool new_cluster = false;
};

std::string state_line(const engine::CaptureView& view) {
    if (view.log.empty()) return "nothing is captured yet";
    return fmt::format("durable to {} of '{}'{}, RPO now {}", view.position, view.log,
                       view.behind_bytes > 0 ? fmt::format(", {} bytes behind", view.behind_bytes) : "",
                       view.rpo_now ? format_duration(*view.rpo_now) : "not known");
}

Json capture_json(const std::string& store, const engine::CaptureView& view) {
    return Json{{"store", store},
                {"log", view.log.empty() ? Json(nullptr) : Json(view.log)},
                {"position", view.position.empty() ? Json(nullptr) : Json(view.position)}};
}

void tell_state(const Session& session, const Captures& captures, const std::string& before) {
    for (const auto& [store, view] : captures.views()) {
        session.progress(fmt::format("{}: {}{}", store, before, state_line(view)));
    }
}

std::vector<std::unique_ptr<env::Thread>> start_guards(const std::vector<engine::Store*>& stores, const env::Env& env,
                                                       const engine::CaptureVoice& voice) {
    std::vector<std::unique_ptr<env::Thread>> threads;
    for (engine::Store* store : stores) {
        std::shared_ptr<engine::CaptureGuard> guard = store->make_capture_guard(voice);
        if (!guard) continue;
        threads.push_back(env.threads.start("capture guard", [guard](const std::stop_token& stop) { guard->run(stop); }));
    }
    return threads;
}

Result<int> run_watch(Session& session, const WatchOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    const env::Context context = session.context(std::chrono::hours(24 * 365 * 10));
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, std::nullopt, context));
    std::vector<engine::Store*> stores;
    for (const auto& store : open->stores) stores.push_back(store.get());
    CaptureOptions wanted;
    wanted.merge_every = open->stack.repository_merge_every;
    wanted.accepts_new_cluster = options.new_cluster;
    // What is reported is told as well.
    const engine::CaptureVoice voice{[&](const std::string& line) { session.progress(line); }, [](const auto&) {}};
    wanted.voice_of = [&](const std::string&) { return voice; };
    Captures captures(stores, *opened, session.env(), std::move(wanted));
    if (captures.is_empty()) {
        std::string hint;
        AETERNA_ASSIGN(const auto engines, find_engines(session));
        for (const StoreEngine& one : engines) hint = fmt::format("The log of {} is archived by {}.", one.store, one.engine->name());
        return make_error(ErrorCode::kUsage, fmt::format("no store of the stack '{}' has a log to capture", open->stack.name), hint);
    }
    {
        const auto guards = start_guards(stores, session.env(), voice);
        const auto teller = session.env().threads.start("capture lines", [&](const std::stop_token& stop) {
            while (session.env().clock.sleep_for(kLineEvery, stop)) tell_state(session, captures, "");
        });
        AETERNA_TRY(captures.run(context));
    }
    tell_state(session, captures, "stopped, ");
    Json documents = Json::array();
    for (const auto& [store, view] : captures.views()) documents.push_back(capture_json(store, view));
    if (session.options.json) session.print_json(Json{{"capture", documents}});
    return 0;
}

}  // namespace

void add_backup_watch_command(CLI::App& backup, Session& session) {
    auto options = std::make_shared<WatchOptions>();
    CLI::App* command = backup.add_subcommand("watch", "Continuous capture of every store's log, until it is stopped");
    command->add_flag("--new-cluster", options->new_cluster,
                      "The repository may begin the history of a cluster beside those that it has");
    command->callback([&session, options] { session.run([&session, options] { return run_watch(session, *options); }); });
}

}  // namespace aeterna::app
