// RequestDesk: what people ask of serve, as requests in the journal. A thread of its own polls for
// them, so that a slow disk never holds up detection; the judge takes them between two rounds and
// answers through its queue.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/runbook/requests.h"
#include "env/env.h"

namespace aeterna::app {

// A request that waited longer is not acted upon any more: who asked has gone away.
inline constexpr Duration kRequestLife = std::chrono::minutes(10);

class RequestDesk {
  public:
    // Both must outlive it.
    RequestDesk(engine::Journal& journal, const env::Env& env);
    // What has come since the last call, each once. Does not block.
    [[nodiscard]] std::vector<engine::RequestRecord> take();

  private:
    void poll();

    engine::Journal& journal_;
    const env::Env& env_;
    std::mutex mutex_;
    std::vector<engine::RequestRecord> waiting_;
    std::set<std::string> seen_;           // by the polling thread only
    std::unique_ptr<env::Thread> thread_;  // last: ends before what it uses
};

}  // namespace aeterna::app
