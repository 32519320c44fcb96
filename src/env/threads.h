// The port to threads. Code above env never touches std::thread or a condition variable: in the simulation the
// same code runs in lock-step. Mutexes are allowed where nothing blocks while they are held.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/time.h"

namespace aeterna::env {

// Destruction requests stop and joins.
class Thread {
  public:
    virtual ~Thread() = default;
    virtual void request_stop() = 0;
    virtual void join() = 0;
};

// An auto-reset event: one notify wakes one wait, also a later one.
class Signal {
  public:
    virtual ~Signal() = default;
    virtual void notify() = 0;
    // True when notified; false at `until` or on stop.
    virtual bool wait_until(MonoTime until, const std::stop_token& stop) = 0;
};

class Threads {
  public:
    virtual ~Threads() = default;
    [[nodiscard]] virtual std::unique_ptr<Thread> start(std::string name,
                                                        std::function<void(std::stop_token)> body) = 0;
    [[nodiscard]] virtual std::unique_ptr<Signal> make_signal() = 0;
};

}  // namespace aeterna::env
