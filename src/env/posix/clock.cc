// The real clocks. Sleeping ends at once when stop is requested.
#include "env/clock.h"

#include <condition_variable>
#include <mutex>

#include "env/posix/ports.h"

namespace aeterna::env {
namespace {

class PosixClock final : public Clock {
  public:
    MonoTime now() const override { return std::chrono::steady_clock::now(); }
    WallTime wall_now() const override { return std::chrono::system_clock::now(); }

    bool sleep_until(MonoTime until, const std::stop_token& stop) override {
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock(mutex);
        never.wait_until(lock, stop, until, [] { return false; });
        return !stop.stop_requested();
    }
};

}  // namespace

std::unique_ptr<Clock> make_posix_clock() { return std::make_unique<PosixClock>(); }

}  // namespace aeterna::env
