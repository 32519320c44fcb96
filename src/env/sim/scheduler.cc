#include "env/sim/scheduler.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "env/sim/process.h"

namespace aeterna::sim {
namespace {

// Stacks are kept between the runs of one program: mapping one costs more than a short run.
std::vector<std::unique_ptr<Fiber>>& pool() {
    thread_local std::vector<std::unique_ptr<Fiber>> fibers;
    return fibers;
}

// A fiber of a dead process that never ends would never give its turn back.
constexpr int kMostDrainRounds = 100'000;
// So many turns without any time between them: two that wake each other for ever.
constexpr std::uint64_t kMostTurnsAtOnce = 1'000'000;

}  // namespace

Scheduler::Scheduler(std::uint64_t seed) : now_(std::chrono::hours(1)), rng_(seed) {
    fibers_.swap(pool());
    for (const auto& fiber : fibers_) idle_.push_back(fiber.get());
    slots_.reserve(1024);
    heap_.reserve(1024);
}

Scheduler::~Scheduler() {
    const bool all_ended = std::all_of(fibers_.begin(), fibers_.end(), [](const auto& fiber) {
        return fiber->coroutine.has_ended();
    });
    AETERNA_CHECK(all_ended);
    fibers_.swap(pool());
}

std::uint32_t Scheduler::free_slot() {
    if (free_slots_.empty()) {
        slots_.emplace_back();
        return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
}

void Scheduler::push(MonoTime when, Work work) {
    const std::uint32_t slot = free_slot();
    slots_[slot] = std::move(work);
    heap_.push_back({std::max(when, now_), ++sequence_, slot});
    std::push_heap(heap_.begin(), heap_.end());
}

void Scheduler::at(MonoTime when, Action action) {
    push(when, {std::move(action), {}, Wake::kCalled});
}

Fiber* Scheduler::spawn(Process* process, std::string name, Action body, Action on_end) {
    if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>());
        idle_.push_back(fibers_.back().get());
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    fiber->process = process;
    fiber->name = std::move(name);
    fiber->on_end = std::move(on_end);
    fiber->waits_for = "its first turn";
    fiber->coroutine.prepare(std::move(body));
    fiber->is_parked = true;
    push(now_, {Action(), {fiber, ++fiber->parking}, Wake::kCalled});
    return fiber;
}

Wake Scheduler::park(MonoTime until, const std::stop_token& stop, const char* waits_for) {
    Fiber* fiber = current_;
    AETERNA_CHECK(fiber != nullptr);
    const FiberRef ref{fiber, ++fiber->parking};
    if (until != MonoTime::max()) push(until, {Action(), ref, Wake::kTime});
    fiber->waits_for = waits_for;
    fiber->is_parked = true;
    {
        const std::stop_callback on_stop(stop, [this, ref] { unpark(ref, Wake::kStop); });
        fiber->coroutine.yield();
    }
    return fiber->wake;
}

void Scheduler::unpark(FiberRef ref, Wake wake) {
    // It may not have parked yet: what it is going to wait for has come already.
    if (ref.fiber == nullptr || ref.fiber->parking > ref.parking) return;
    push(now_, {Action(), ref, wake});
}

void Scheduler::unpark_all_of(const Process& process) {
    for (const auto& fiber : fibers_) {
        if (fiber->process == &process && fiber->is_parked) {
            unpark({fiber.get(), fiber->parking}, Wake::kStop);
        }
    }
}

void Scheduler::release_held(Process& process) {
    for (const HeldTurn& held : std::exchange(process.held_turns, {})) {
        push(now_, {Action(), {held.fiber, held.parking}, held.wake});
    }
}

void Scheduler::run_fiber(Fiber& fiber) {
    fiber.is_parked = false;
    current_ = &fiber;
    fiber.coroutine.resume();
    current_ = nullptr;
    if (!fiber.coroutine.has_ended()) return;
    ++fiber.parking;  // whatever still waits for it is stale
    fiber.process = nullptr;
    Action on_end = std::move(fiber.on_end);
    idle_.push_back(&fiber);
    if (on_end) on_end();
}

void Scheduler::take_turn() {
    std::pop_heap(heap_.begin(), heap_.end());
    const Due due = heap_.back();
    heap_.pop_back();
    turns_at_once_ = due.when == now_ ? turns_at_once_ + 1 : 0;
    if (turns_at_once_ > kMostTurnsAtOnce) {
        fmt::print(stderr, "virtual time stands still:\n{}", describe_waiting());
        AETERNA_CHECK(false);
    }
    now_ = due.when;
    Work work = std::move(slots_[due.slot]);
    slots_[due.slot].ref = {};
    free_slots_.push_back(due.slot);
    ++turns_;
    fingerprint_ = (fingerprint_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count()) ^
                    (due.sequence << 20)) *
                   0x100000001b3ULL;
    if (work.action) {
        work.action();
        return;
    }
    Fiber& fiber = *work.ref.fiber;
    if (!fiber.is_parked || fiber.parking != work.ref.parking) return;
    if (fiber.process != nullptr && fiber.process->is_stopped()) {
        fiber.process->held_turns.push_back({&fiber, work.ref.parking, work.wake});
        return;
    }
    fiber.wake = work.wake;
    run_fiber(fiber);
}

bool Scheduler::run_until(MonoTime limit, const std::function<bool()>& done) {
    while (true) {
        if (done && done()) return true;
        if (heap_.empty()) return false;
        if (heap_.front().when > limit) {
            now_ = limit;
            return true;
        }
        take_turn();
    }
}

std::string Scheduler::describe_waiting() const {
    std::string text;
    for (const auto& fiber : fibers_) {
        if (fiber->coroutine.has_ended()) continue;
        text += fmt::format("  {}{}{}: waits for {}\n",
                            fiber->process ? fiber->process->command : "world",
                            fiber->name.empty() ? "" : "/", fiber->name, fiber->waits_for);
    }
    return text.empty() ? "  nobody\n" : text;
}

void Scheduler::drain() {
    for (int round = 0; round < kMostDrainRounds; ++round) {
        bool left = false;
        for (const auto& fiber : fibers_) {
            if (fiber->coroutine.has_ended()) continue;
            left = true;
            if (fiber->is_parked) unpark({fiber.get(), fiber->parking}, Wake::kStop);
        }
        if (!left) return;
        while (!heap_.empty() && heap_.front().when <= now_) take_turn();
    }
    fmt::print(stderr, "fibers that do not end:\n{}", describe_waiting());
    AETERNA_CHECK(false);
}

}  // namespace aeterna::sim
