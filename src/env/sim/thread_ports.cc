// Threads are fibers of the process; a signal is a flag and whoever waits for it.
#include <deque>

#include "base/check.h"
#include "env/sim/ports.h"

namespace aeterna::sim {
namespace {

struct ThreadState {
    std::stop_source stop;
    bool has_ended = false;
    FiberRef joiner;
};

class SimThread final : public env::Thread {
  public:
    SimThread(Place place, std::string name, std::function<void(std::stop_token)> body)
        : place_(place), state_(std::make_shared<ThreadState>()) {
        if (place_.is_dead()) state_->stop.request_stop();
        std::erase_if(place_.process.thread_stops,
                      [](const auto& stop) { return stop.stop_requested(); });
        place_.process.thread_stops.push_back(state_->stop);
        Scheduler& scheduler = place_.world.scheduler;
        scheduler.spawn(
            &place_.process, std::move(name),
            [token = state_->stop.get_token(), body = std::move(body)] { body(token); },
            [state = state_, &scheduler] {
                state->has_ended = true;
                scheduler.unpark(state->joiner);
            });
    }
    ~SimThread() override {
        request_stop();
        join();
    }

    void request_stop() override { state_->stop.request_stop(); }
    void join() override {
        Scheduler& scheduler = place_.world.scheduler;
        while (!state_->has_ended) {
            state_->joiner = scheduler.next_parking();
            static_cast<void>(scheduler.park(MonoTime::max(), {}, "the end of a thread"));
        }
        // One that has ended needs no stop any more.
        request_stop();
    }

  private:
    Place place_;
    std::shared_ptr<ThreadState> state_;
};

class SimSignal final : public env::Signal {
  public:
    explicit SimSignal(Place place) : place_(place) {}
    void notify() override {
        is_set_ = true;
        if (waiting_.empty()) return;
        place_.world.scheduler.unpark(waiting_.front());
        waiting_.pop_front();
    }
    bool wait_until(MonoTime until, const std::stop_token& stop) override {
        Scheduler& scheduler = place_.world.scheduler;
        while (!is_set_) {
            if (place_.is_dead() || stop.stop_requested() || scheduler.now() >= until) return false;
            const FiberRef ref = scheduler.next_parking();
            waiting_.push_back(ref);
            static_cast<void>(scheduler.park(until, stop, "a signal"));
            std::erase_if(waiting_, [&](const FiberRef& other) {
                return other.fiber == ref.fiber && other.parking == ref.parking;
            });
        }
        is_set_ = false;
        return true;
    }

  private:
    Place place_;
    bool is_set_ = false;
    std::deque<FiberRef> waiting_;
};

class SimThreads final : public env::Threads {
  public:
    explicit SimThreads(Place place) : place_(place) {}
    std::unique_ptr<env::Thread> start(std::string name,
                                       std::function<void(std::stop_token)> body) override {
        return std::make_unique<SimThread>(place_, std::move(name), std::move(body));
    }
    std::unique_ptr<env::Signal> make_signal() override {
        return std::make_unique<SimSignal>(place_);
    }

  private:
    Place place_;
};

}  // namespace

std::unique_ptr<env::Threads> make_threads(Place place) {
    return std::make_unique<SimThreads>(place);
}

}  // namespace aeterna::sim
