// Scheduler: virtual time. One OS thread; of all fibers one holds the turn, and it keeps it until
// it blocks in a port. What is due next is picked by (virtual time, sequence), so one seed gives
// one run. A fiber of a stopped process is held back until the process goes on; one of a dead
// process finds its ports dead and so comes to its end.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/sim/action.h"
#include "env/sim/fiber.h"
#include "env/sim/rng.h"

namespace aeterna::sim {

class Process;

enum class Wake { kCalled, kTime, kStop };

struct Fiber {
    Coroutine coroutine;
    Process* process = nullptr;  // nullptr: the world's own
    std::string name;
    const char* waits_for = "";  // for people, when nothing goes on
    std::uint64_t parking = 0;   // counts the parkings: a wake-up of an earlier one is stale
    bool is_parked = false;
    Wake wake = Wake::kCalled;
    Action on_end;
};

// One parking of one fiber.
struct FiberRef {
    Fiber* fiber = nullptr;
    std::uint64_t parking = 0;
};

class Scheduler {
  public:
    explicit Scheduler(std::uint64_t seed);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    [[nodiscard]] MonoTime now() const { return now_; }
    [[nodiscard]] Rng& rng() { return rng_; }
    // A number that depends on all that happened so far: equal seeds give equal numbers.
    [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
    [[nodiscard]] std::uint64_t turns() const { return turns_; }

    // Runs `action` then, in nobody's fiber: it must not block.
    void at(MonoTime when, Action action);
    void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }
    // A new fiber, due now. `on_end` runs after its end.
    Fiber* spawn(Process* process, std::string name, Action body, Action on_end = {});

    // From a fiber: blocks until unpark() of what `ref` names, `until`, or a stop request.
    [[nodiscard]] Wake park(MonoTime until, const std::stop_token& stop, const char* waits_for);
    // The parking that the running fiber will do next.
    [[nodiscard]] FiberRef next_parking() const { return {current_, current_->parking + 1}; }
    // Makes a parked fiber due after `delay`; nothing when that parking is over.
    void unpark(FiberRef ref, Wake wake = Wake::kCalled);
    // Every parked fiber of the process is due now.
    void unpark_all_of(const Process& process);
    void release_held(Process& process);

    [[nodiscard]] Fiber* current() const { return current_; }

    // Until `limit` or until `done`, which is asked after each turn. False when nothing is left to
    // happen before that: then describe_waiting() tells who waits for what.
    bool run_until(MonoTime limit, const std::function<bool()>& done = {});
    [[nodiscard]] std::string describe_waiting() const;
    // Lets every fiber that is left come to its end; all processes must be dead.
    void drain();

  private:
    struct Due {
        MonoTime when;
        std::uint64_t sequence;
        std::uint32_t slot;
        friend bool operator<(const Due& a, const Due& b) {
            return a.when != b.when ? a.when > b.when
                                    : a.sequence > b.sequence;  // a heap's top is the earliest
        }
    };
    struct Work {
        Action action;
        FiberRef ref;  // a fiber's turn, if any
        Wake wake = Wake::kCalled;
    };

    void push(MonoTime when, Work work);
    void take_turn();
    void run_fiber(Fiber& fiber);
    std::uint32_t free_slot();

    MonoTime now_;
    Rng rng_;
    std::uint64_t sequence_ = 0;
    std::uint64_t turns_ = 0;
    std::uint64_t turns_at_once_ = 0;
    std::uint64_t fingerprint_ = 0xcbf29ce484222325ULL;
    std::vector<Due> heap_;
    std::vector<Work> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::unique_ptr<Fiber>> fibers_;  // never shrinks while it runs
    std::vector<Fiber*> idle_;
    Fiber* current_ = nullptr;
};

}  // namespace aeterna::sim
