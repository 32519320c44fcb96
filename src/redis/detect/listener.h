// Listener: the subscription to one Sentinel's events. A subscription says nothing for days, so
// silence alone proves nothing: a PING inside of it (redis.io/docs/manual/pubsub: allowed while
// subscribed, also in RESP2) asks for a sign of life. A peer that gives none, because the
// connection is half open or the process hangs, is subscribed to anew.
#pragma once

#include <memory>

#include "redis/client/connection.h"
#include "redis/detect/board.h"

namespace aeterna::redis {

class Listener {
  public:
    // `board` and `env` must outlive it. One thread at a time.
    Listener(Target target, Board& board, const env::Env& env);
    // One run of the probe. The first one only subscribes, so that a single round of probes takes
    // no longer than the servers need; the others listen for `period` and post what they hear.
    void run(Duration period, const env::Context& context);

  private:
    void subscribe(const env::Context& context);

    Target target_;
    Board& board_;
    const env::Env& env_;
    std::unique_ptr<Connection> connection_;
    MonoTime heard_at_{};  // anything at all
};

}  // namespace aeterna::redis
