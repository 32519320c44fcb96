#include "app/daemon/capture_worker.h"

#include <algorithm>
#include <utility>

namespace aeterna::app {
namespace {

constexpr Duration kFirstWait = std::chrono::seconds(1), kLongestWait = std::chrono::seconds(30);
constexpr Duration kOpenTimeout = std::chrono::seconds(60);

}  // namespace

CaptureWorker::CaptureWorker(engine::Store& store, const config::Stack& stack, RepositoryOpener opener, const env::Env& env)
    : store_(store), stack_(stack), opener_(std::move(opener)), env_(env), begun_(env.clock.now()) {
    guard_ = store.make_capture_guard(voice());
    if (guard_) {
        guarding_ = env.threads.start("capture guard", [this](const std::stop_token& stop) { guard_->run(stop); });
    }
    thread_ = env.threads.start("capture", [this](const std::stop_token& stop) { work(stop); });
}

CaptureWorker::~CaptureWorker() {
    request_stop();
    thread_->join();
    if (guarding_) guarding_->join();
}

void CaptureWorker::request_stop() {
    thread_->request_stop();
    if (guarding_) guarding_->request_stop();
}

void CaptureWorker::work(const std::stop_token& stop) {
    Duration wait = kFirstWait;
    while (!stop.stop_requested()) {
        const MonoTime from = env_.clock.now();
        const Status done = capture({MonoTime::max(), stop, "capture"});
        if (done || stop.stop_requested()) continue;
        const std::string why = done.error().hint.empty() ? done.error().to_string()
                                                          : done.error().to_string() + " (" + done.error().hint + ")";
        tell(why);
        {
            const std::lock_guard lock(mutex_);
            trouble_ = why;
            is_refused_ = done.error().code == ErrorCode::kGuardRefused;
        }
        // What went well for long is tried again soon.
        wait = env_.clock.now() - from > kLongestWait ? kFirstWait : std::min(wait * 2, kLongestWait);
        env_.clock.sleep_for(wait, stop);
    }
}

Status CaptureWorker::capture(const env::Context& context) {
    AETERNA_ASSIGN(const auto opened, opener_(env_.clock.within(kOpenTimeout, context)));
    CaptureOptions options;
    options.merge_every = stack_.repository_merge_every;
    options.voice_of = [this](const std::string&) { return voice(); };
    Captures captures({&store_}, opened->repository(), env_, std::move(options));
    {
        const std::lock_guard lock(mutex_);
        captures_ = &captures;
        trouble_.clear();
        is_refused_ = false;
    }
    const Status done = captures.run(context);
    const auto views = captures.views();
    const std::lock_guard lock(mutex_);
    captures_ = nullptr;
    for (const auto& [store, view] : views) look(view);
    return done;
}

engine::CaptureVoice CaptureWorker::voice() {
    return {[this](const std::string& line) { tell(line); },
            [this](const engine::CaptureEvent& event) {
                const std::lock_guard lock(mutex_);
                events_.push_back(event);
            }};
}

std::vector<engine::CaptureEvent> CaptureWorker::take_events() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
}

void CaptureWorker::tell(const std::string& line) {
    env_.log.info("capture.told", {{"store", store_.name()}, {"line", line}});
}

void CaptureWorker::look(const engine::CaptureView& view) {
    if (!view.rpo_now) return;
    const MonoTime safe = env_.clock.now() - *view.rpo_now;
    safe_until_ = std::max(safe_until_.value_or(safe), safe);
}

engine::CaptureFacts CaptureWorker::facts() {
    engine::CaptureFacts facts;
    facts.store = store_.name();
    facts.objective = store_.objectives().rpo;
    const std::lock_guard lock(mutex_);
    if (captures_) {
        for (const auto& [store, view] : captures_->views()) {
            facts.is_streaming = !view.node.empty();
            facts.behind_bytes = view.behind_bytes;
            facts.has_hole = view.has_hole;
            facts.trouble = view.trouble;
            facts.is_refused = view.is_refused;
            look(view);
        }
    }
    const MonoTime now = env_.clock.now();
    facts.wanted_for = now - begun_;
    if (safe_until_) facts.rpo_now = std::max(Duration(), now - *safe_until_);
    if (!captures_) {
        facts.trouble = trouble_;
        facts.is_refused = is_refused_;
    }
    return facts;
}

}  // namespace aeterna::app
