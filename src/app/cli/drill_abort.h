// drill abort: asks the drill that runs to stop, through the journal; the drill heals and closes
// itself as it does at Ctrl-C. One that has died is ended here, as `drill heal` does.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "app/cli/session.h"

namespace aeterna::app {

// The drill's side: while it lives, a request to abort (or the session's own stop) requests stop on
// token().
class AbortWatch {
  public:
    // The caller holds the drill lock: a request made from now on is meant for it.
    AbortWatch(engine::Journal& journal, const env::Env& env, const std::stop_token& stop);
    ~AbortWatch();
    AbortWatch(const AbortWatch&) = delete;
    AbortWatch& operator=(const AbortWatch&) = delete;

    [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
    // Who asked; empty while nobody has.
    [[nodiscard]] std::string requester() const;

  private:
    void poll();

    engine::Journal& journal_;
    const env::Env& env_;
    WallTime since_;
    std::stop_source stop_;
    std::stop_callback<std::function<void()>> forward_;
    mutable std::mutex mutex_;
    std::string requester_;
    std::unique_ptr<env::Thread> thread_;  // last: ends before what it uses
};

// The command's side.
[[nodiscard]] Result<int> abort_drill(Session& session);

}  // namespace aeterna::app
