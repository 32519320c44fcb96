#include "app/daemon/captures.h"

#include <set>

#include "engine/capture/log_merger.h"
#include "env/posix/replication.h"

namespace aeterna::app {

struct Captures::Running {
    std::string store;
    std::unique_ptr<engine::Capture> capture;
    Status done{};
    std::unique_ptr<env::Thread> thread;  // last: it ends before what it writes to
};

Captures::Captures(const std::vector<engine::Store*>& stores, repository::Repository& repository, const env::Env& env,
                   CaptureOptions options)
    : repository_(repository), env_(env), options_(std::move(options)),
      replication_(env::make_libpq_replication_connector()) {
    for (engine::Store* store : stores) {
        const engine::CaptureResources resources{repository_, *replication_, options_.voice_of(store->name()),
                                                 options_.accepts_new_cluster};
        auto capture = store->make_capture(resources);
        if (!capture) continue;
        running_.push_back(std::make_unique<Running>());
        running_.back()->store = store->name();
        running_.back()->capture = std::move(capture);
    }
}

Captures::~Captures() = default;

Status Captures::run(const env::Context& context) {
    std::stop_source ended;
    const std::stop_callback forward(context.stop, [&ended] { ended.request_stop(); });
    env::Context inner = context;
    inner.stop = ended.get_token();
    for (const auto& one : running_) {
        one->thread = env_.threads.start("capture " + one->store, [&inner, &ended, one = one.get()](const std::stop_token&) {
            one->done = one->capture->run(inner);
            ended.request_stop();
        });
    }
    engine::LogMergerSettings settings;
    settings.every = options_.merge_every;
    settings.growing = [this] {
        std::set<std::string> logs;
        for (const auto& [store, view] : views()) {
            if (!view.log.empty()) logs.insert(view.log);
        }
        return logs;
    };
    settings.tell = options_.voice_of(running_.front()->store).tell;
    {
        const auto merger = env_.threads.start("log merger", [&](const std::stop_token& stop) {
            engine::keep_logs_merged(repository_, env_, settings, stop);
        });
        for (const auto& one : running_) one->thread->join();
    }
    for (const auto& one : running_) AETERNA_TRY(one->done);
    return {};
}

std::map<std::string, engine::CaptureView> Captures::views() const {
    std::map<std::string, engine::CaptureView> views;
    for (const auto& one : running_) views[one->store] = one->capture->view();
    return views;
}

}  // namespace aeterna::app
