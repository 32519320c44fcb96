// Live: how steps look at the cluster: the monitor's own probes, run once and all at the same time,
// so that a silent node costs one time-out and not one per question. Connections are kept between
// rounds.
#pragma once

#include "engine/detect/monitor.h"
#include "postgres/detect/board.h"
#include "postgres/detect/world.h"

namespace aeterna::postgres {

class Live {
  public:
    enum class Scope {
        kAll,
        kNodes,  // servers, agents and etcd's keys only: what a proxy or a dead etcd member delays is left out
    };
    // Never writes, whatever is approved. `settings` and `env` must outlive it.
    Live(const Settings& settings, const env::Env& env, Scope scope = Scope::kAll);

    // One round, at most ~2 s and never beyond the context. `last_primary`: who took writes before,
    // if known.
    [[nodiscard]] World look(const env::Context& context, const std::string& last_primary = "");

    // Waits until a second after the last look began; false when the context ends before.
    [[nodiscard]] bool pause(const env::Context& context);

  private:
    const Settings& settings_;
    const env::Env& env_;
    Board board_;
    std::vector<engine::ProbeTask> tasks_;
    MonoTime last_look_{};
};

// A text fact, or empty.
[[nodiscard]] std::string fact(const Json& facts, const std::string& key);

// kCancelled or kDeadline, by the context.
[[nodiscard]] Error ended(const env::Env& env, const env::Context& context,
                          const std::string& what);

}  // namespace aeterna::postgres
