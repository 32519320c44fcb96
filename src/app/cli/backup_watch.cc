#include "app/cli/backup_watch.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/cli/open_repository.h"
#include "env/posix/replication.h"

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

Result<int> run_watch(Session& session, const WatchOptions& options) {
    AETERNA_ASSIGN(OpenStack * open, session.open());
    const env::Context context = session.context(std::chrono::hours(24 * 365 * 10));
    AETERNA_ASSIGN(const auto place, RepositoryPlace::find(session));
    AETERNA_ASSIGN(repository::Repository * opened, place->open(session, std::nullopt, context));
    const auto replication = env::make_libpq_replication_connector();
    engine::CaptureResources resources{*opened, *replication, [&](const std::string& line) { session.progress(line); },
                                       options.new_cluster};
    struct Running {
        std::string store;
        std::unique_ptr<engine::Capture> capture;
        Status done{};
        std::unique_ptr<env::Thread> thread;  // last: it ends before what it writes to
    };
    std::vector<std::unique_ptr<Running>> running;
    for (const auto& store : open->stores) {
        auto capture = store->make_capture(resources);
        if (!capture) continue;
        running.push_back(std::make_unique<Running>());
        running.back()->store = store->name();
        running.back()->capture = std::move(capture);
    }
    if (running.empty()) {
        return make_error(ErrorCode::kUsage, fmt::format("no store of the stack '{}' has a log to capture", open->stack.name));
    }
    // One that cannot go on ends all of them: half a capture is none that anybody asked for.
    std::stop_source ended;
    const std::stop_callback forward(session.stop(), [&ended] { ended.request_stop(); });
    env::Context inner = context;
    inner.stop = ended.get_token();
    for (const auto& one : running) {
        one->thread = session.env().threads.start("capture " + one->store, [&inner, &ended, one = one.get()](const std::stop_token&) {
            one->done = one->capture->run(inner);
            ended.request_stop();
        });
    }
    while (session.env().clock.sleep_for(kLineEvery, inner.stop)) {
        for (const auto& one : running) session.progress(fmt::format("{}: {}", one->store, state_line(one->capture->view())));
    }
    Json captures = Json::array();
    for (const auto& one : running) {
        one->thread->join();
        captures.push_back(capture_json(one->store, one->capture->view()));
        if (!one->done) return one->done.error();
        session.progress(fmt::format("{}: stopped, {}", one->store, state_line(one->capture->view())));
    }
    if (session.options.json) session.print_json(Json{{"capture", captures}});
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
