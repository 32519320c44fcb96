// The port to time and randomness. Only env/posix reads the real ones; env/sim has virtual ones.
#pragma once

#include <cstdint>
#include <stop_token>

#include "base/time.h"
#include "env/context.h"

namespace aeterna::env {

class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual MonoTime now() const = 0;
    [[nodiscard]] virtual WallTime wall_now() const = 0;
    // Blocks until `until` or until stop is requested; false when stopped.
    virtual bool sleep_until(MonoTime until, const std::stop_token& stop) = 0;

    bool sleep_for(Duration duration, const std::stop_token& stop) {
        return sleep_until(now() + duration, stop);
    }
    // `outer`, but at most `duration` from now.
    [[nodiscard]] Context within(Duration duration, const Context& outer) const {
        return outer.until(now() + duration);
    }
    [[nodiscard]] Duration remaining(const Context& context) const { return context.deadline - now(); }
};

class Random {
  public:
    virtual ~Random() = default;
    // Uniform over all 64-bit values. Thread-safe.
    [[nodiscard]] virtual std::uint64_t next() = 0;
};

}  // namespace aeterna::env
