// Startup: brings the servers of a lab up in an order that waits for nothing that is not needed,
// all stores at once, and tells at once when a server that was just started has died.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "lab/lab.h"
#include "lab/readiness.h"

namespace aeterna::lab {

class Startup {
  public:
    Startup(const Layout& layout, const Secrets& secrets, const Programs& programs,
            const env::Env& env, const Progress& progress);

    // Starts what does not run and returns when all of it is healthy.
    Status run(const env::Context& context);
    [[nodiscard]] int started() const;
    // `serve` is started, and waited for a moment; false when it does not stay.
    [[nodiscard]] bool start_serve(const env::Context& context);

  private:
    using Check = std::function<Reason(const env::Context&)>;
    using Track = Status (Startup::*)(const env::Context&);

    Status postgres(const env::Context& context);
    Status patroni(const env::Context& context);
    Status redis(const env::Context& context);
    Status qdrant(const env::Context& context);
    Status front(const env::Context& context);
    Status set_synchronous_mode(int leader, const env::Context& context);
    // Makes the leader's Patroni run its loop now instead of up to 10 s later.
    void wake(int leader, const env::Context& context);

    Status start(const std::string& node, const env::Context& context);
    Status start_all(const std::string& kind, const env::Context& context);
    // Polls until the check has no reason any more; reports the phase. Fails early when a node of
    // `kinds` died.
    Status wait(const std::string& phase, const std::vector<std::string>& kinds, const Check& check,
                const env::Context& context);
    [[nodiscard]] std::optional<Error> find_dead(const std::vector<std::string>& kinds) const;
    [[nodiscard]] Error not_ready(const std::string& phase, const std::vector<std::string>& kinds,
                                  const std::string& reason) const;
    [[nodiscard]] CheckContext checks() const { return {layout_, secrets_, env_}; }
    [[nodiscard]] double seconds() const;

    const Layout& layout_;
    const Secrets& secrets_;
    const Programs& programs_;
    const env::Env& env_;
    const Progress& progress_;
    Supervisor supervisor_;
    MonoTime begin_;
    std::atomic<int> started_{0};
    mutable std::mutex mutex_;
    std::set<std::string> seen_running_;  // names of nodes; guarded by mutex_
};

}  // namespace aeterna::lab
