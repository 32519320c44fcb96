#include "app/daemon/watcher.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace aeterna::app {
namespace {

// Spreads the first runs, so that the probes do not all wake in the same instant for ever.
constexpr Duration kStagger = std::chrono::milliseconds(23);

}  // namespace

Watcher::Watcher(const OpenStack& open, const env::Env& env, engine::IsolationSettings isolation)
    : open_(open), env_(env), guard_(isolation) {
    for (const auto& store : open_.stores) {
        monitors_.push_back(store->make_monitor());
        for (engine::ProbeTask& task : monitors_.back()->probes()) {
            probes_.push_back(std::make_unique<Probe>(Probe{std::move(task), store->name(), std::nullopt}));
        }
    }
}

Watcher::~Watcher() { stop(); }

void Watcher::start() {
    Duration delay{};
    for (const auto& probe : probes_) {
        threads_.push_back(env_.threads.start(
            "probe", [this, probe = probe.get(), delay](const std::stop_token& stop) { repeat(*probe, delay, stop); }));
        delay += kStagger;
    }
}

void Watcher::request_stop() {
    for (const auto& thread : threads_) thread->request_stop();
}

void Watcher::stop() {
    request_stop();
    for (const auto& thread : threads_) thread->join();
    threads_.clear();
}

void Watcher::repeat(Probe& probe, Duration delay, const std::stop_token& stop) {
    const Duration period = std::max<Duration>(probe.task.period, std::chrono::milliseconds(10));
    if (!env_.clock.sleep_for(delay % period, stop)) return;
    while (!stop.stop_requested()) {
        const MonoTime begun = env_.clock.now();
        run_once(probe, probe.task.timeout, {begun + probe.task.timeout, stop, probe.task.name});
        const Duration next = probe.task.next ? std::min(period, probe.task.next()) : period;
        if (!env_.clock.sleep_until(begun + next, stop)) return;
    }
}

void Watcher::run_once(Probe& probe, Duration limit, const env::Context& context) {
    const MonoTime begun = env_.clock.now();
    probe.task.run(env_.clock.within(std::min(limit, probe.task.timeout), context));
    const std::lock_guard lock(mutex_);
    probe.last = env_.clock.now() - begun;
}

void Watcher::observe_once(Duration limit, const env::Context& context) {
    std::vector<std::unique_ptr<env::Thread>> round;
    for (const auto& probe : probes_) {
        round.push_back(env_.threads.start("probe", [this, probe = probe.get(), limit,
                                                     &context](const std::stop_token&) {
            run_once(*probe, limit, context);
        }));
    }
    for (const auto& thread : round) thread->join();
}

Watcher::Round Watcher::judge() {
    std::vector<engine::Reach> reach;
    for (const auto& monitor : monitors_) {
        std::vector<engine::Reach> part = monitor->reach();
        std::move(part.begin(), part.end(), std::back_inserter(reach));
    }
    const MonoTime now = env_.clock.now();
    const engine::IsolationGuard::Verdict verdict = guard_.judge(reach, now);
    const engine::JudgeContext context{now, env_.clock.wall_now(), verdict.isolated, verdict.stalled};
    Round round;
    round.stalled = verdict.stalled;
    round.status.stack = open_.stack.name;
    round.status.isolated = verdict.isolated;
    round.status.at = context.wall_now;
    for (const auto& monitor : monitors_) {
        engine::Judgement judgement = monitor->judge(context);
        round.status.stores.push_back(std::move(judgement.status));
        std::move(judgement.findings.begin(), judgement.findings.end(), std::back_inserter(round.findings));
        std::move(judgement.events.begin(), judgement.events.end(), std::back_inserter(round.events));
    }
    return round;
}

std::vector<report::ProbeTiming> Watcher::timings() const {
    std::vector<report::ProbeTiming> timings;
    const std::lock_guard lock(mutex_);
    for (const auto& probe : probes_) {
        if (probe->last) timings.push_back({probe->store, probe->task.name, *probe->last});
    }
    return timings;
}

bool Watcher::has_looked_everywhere() const {
    const std::lock_guard lock(mutex_);
    return std::all_of(probes_.begin(), probes_.end(), [](const auto& probe) { return probe->last.has_value(); });
}

bool is_healthy(const engine::StackStatus& status) {
    const bool all_ok = std::all_of(status.stores.begin(), status.stores.end(), [](const auto& store) {
        return store.health == engine::Health::kOk;
    });
    const bool is_critical =
        std::any_of(status.incidents.begin(), status.incidents.end(), [](const auto& incident) {
            return incident.state == "open" &&
                   incident.severity == engine::severity_name(engine::Severity::kCritical);
        });
    return all_ok && !is_critical && !status.isolated && !status.stores.empty();
}

}  // namespace aeterna::app
