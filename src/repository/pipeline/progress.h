// Progress of long work: how far it is, told now and then by the thread that was called.
#pragma once

#include <cstdint>
#include <functional>

#include "env/clock.h"

namespace aeterna::repository {

struct Progress {
    std::uint64_t files = 0, bytes = 0;
    std::uint64_t expected_bytes = 0;  // of the last backup; 0 when unknown
};
using ProgressCallback = std::function<void(const Progress&)>;

// Passes on what is told, at most five times a second. One thread at a time.
class ProgressPace {
  public:
    ProgressPace(const ProgressCallback& callback, env::Clock& clock) : callback_(callback), clock_(clock) {}
    void tell(const Progress& progress) {
        if (!callback_) return;
        const MonoTime now = clock_.now();
        if (now < next_) return;
        next_ = now + std::chrono::milliseconds(200);
        callback_(progress);
    }

  private:
    const ProgressCallback& callback_;
    env::Clock& clock_;
    MonoTime next_{};
};

}  // namespace aeterna::repository
