// Watcher: every store's monitor with its probes, and one judgement over all of them. `serve` runs it for good, one
// thread per probe; `status` runs one round of it when no serve answers.
//
// Threads: start(), stop(), judge() and observe_once() belong to one thread; the const ones may be called from any.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/registry.h"
#include "engine/detect/isolation.h"
#include "report/metrics.h"

namespace aeterna::app {

class Watcher {
  public:
    // `open` and `env` must outlive it.
    Watcher(const OpenStack& open, const env::Env& env, engine::IsolationSettings isolation = {});
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    // One thread per probe, until stop().
    void start();
    // stop() without waiting: so that probes end while something else is being closed.
    void request_stop();
    // Blocks until every probe has returned: at most a probe's own time-out, as a rule at once.
    void stop();
    // Every probe once, all at the same time, none for longer than `limit`. Not together with start().
    void observe_once(Duration limit, const env::Context& context);

    struct Round {
        engine::StackStatus status;  // without incidents and watcher
        std::vector<engine::Finding> findings;
        std::vector<engine::StoreEvent> events;
        bool stalled = false;
    };
    [[nodiscard]] Round judge();
    [[nodiscard]] std::vector<report::ProbeTiming> timings() const;
    // Every probe has come back at least once: before that, "unknown" says more about us than about the stack.
    [[nodiscard]] bool has_looked_everywhere() const;

  private:
    struct Probe {
        engine::ProbeTask task;
        std::string store;
        std::optional<Duration> last;  // guarded by mutex_
    };
    void repeat(Probe& probe, Duration delay, const std::stop_token& stop);
    void run_once(Probe& probe, Duration limit, const env::Context& context);

    const OpenStack& open_;
    const env::Env& env_;
    std::vector<std::unique_ptr<engine::Monitor>> monitors_;
    std::vector<std::unique_ptr<Probe>> probes_;
    engine::IsolationGuard guard_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<env::Thread>> threads_;  // last: ends before what it uses
};

// Ok everywhere, not isolated, no critical incident open.
[[nodiscard]] bool is_healthy(const engine::StackStatus& status);

}  // namespace aeterna::app
