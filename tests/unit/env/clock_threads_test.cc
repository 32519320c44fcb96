#include <atomic>

#include "real_env.h"

namespace aeterna::env::testing {
namespace {

TEST(Clock, SleepsUntilTheInstant) {
    const MonoTime until = real().clock.now() + 20ms;
    EXPECT_TRUE(real().clock.sleep_until(until, {}));
    EXPECT_GE(real().clock.now(), until);
}

TEST(Clock, StopEndsASleepThatWouldBeLong) {
    std::atomic<bool> was_full{true};
    const MonoTime start = real().clock.now();
    auto thread = real().threads.start("sleeper", [&](std::stop_token stop) {
        was_full = real().clock.sleep_for(1h, stop);
    });
    thread->request_stop();
    thread->join();
    EXPECT_FALSE(was_full);
    EXPECT_LT(real().clock.now() - start, 30s);
}

TEST(Threads, DestructionStopsAndJoins) {
    std::atomic<bool> has_ended{false};
    {
        const auto thread = real().threads.start("a name that is longer than the kernel's limit",
                                                 [&](std::stop_token stop) {
                                                     real().clock.sleep_for(1h, stop);
                                                     has_ended = true;
                                                 });
    }
    EXPECT_TRUE(has_ended);
}

TEST(Signal, OneNotifyWakesOneWaitAlsoALaterOne) {
    const auto signal = real().threads.make_signal();
    signal->notify();
    signal->notify();
    EXPECT_TRUE(signal->wait_until(real().clock.now() + 1h, {}));
    EXPECT_FALSE(signal->wait_until(real().clock.now() + 1ms, {}));
}

TEST(Signal, WakesAWaiterInAnotherThread) {
    const auto signal = real().threads.make_signal();
    std::atomic<bool> was_notified{false};
    const auto thread = real().threads.start("waiter", [&](std::stop_token stop) {
        was_notified = signal->wait_until(real().clock.now() + 1h, stop);
    });
    signal->notify();
    thread->join();
    EXPECT_TRUE(was_notified);
}

TEST(Signal, StopEndsTheWait) {
    const auto signal = real().threads.make_signal();
    std::stop_source stop;
    stop.request_stop();
    EXPECT_FALSE(signal->wait_until(real().clock.now() + 1h, stop.get_token()));
}

TEST(Random, DiffersFromCallToCall) { EXPECT_NE(real().random.next(), real().random.next()); }

}  // namespace
}  // namespace aeterna::env::testing
