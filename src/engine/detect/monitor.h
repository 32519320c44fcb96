// Monitor: how a store is watched. Probes observe (with I/O) and post typed observations onto the monitor's own
// board; judge() runs the pure detectors over the board. Judgement never does I/O.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/status.h"
#include "env/env.h"

namespace aeterna::engine {

// One repeated observation of one vantage. `run` observes within its context and posts; it never throws and
// reports failure by posting it. Tasks of one monitor run at the same time on different threads.
struct ProbeTask {
    std::string name;     // "postgres-1 sql"
    Duration period{};    // from start to start; a late run is followed at once, not piled up
    Duration timeout{};   // the context's deadline per run
    std::function<void(const env::Context&)> run;
    // From start to start after this run, where what was just seen asks for another look soon; empty: the period.
    std::function<Duration()> next = {};
};

// Whether a vantage has answered lately: the isolation guard's food.
struct Reach {
    std::string vantage;  // "patroni-1 REST"
    std::string host;     // "host-1"
    bool answered = false;  // any answer, also "connection refused": somebody's kernel spoke
    bool tried = false;
};

struct JudgeContext {
    MonoTime now;
    WallTime wall_now;
    bool isolated = false;  // nothing answers at all: findings must turn kUnknown, not kFiring
    // This process itself slept (suspend, SIGSTOP), or its isolation has just ended: old observations count for
    // nothing.
    bool stalled = false;
};

// Something that happened, for the timeline: "primary.changed", "sentinel.odown".
struct StoreEvent {
    WallTime at{};
    std::string store;
    std::string kind;
    std::string subject;
    std::string detail;
};

struct Judgement {
    StoreStatus status;
    std::vector<Finding> findings;   // every detector's present state, also clear ones
    std::vector<StoreEvent> events;  // since the last judge()
};

class Monitor {
  public:
    virtual ~Monitor() = default;
    // Called once; the tasks refer to this monitor and must not outlive it.
    [[nodiscard]] virtual std::vector<ProbeTask> probes() = 0;
    // By one thread at a time. With fresh observations only: status; over time: findings.
    [[nodiscard]] virtual Judgement judge(const JudgeContext& context) = 0;
    [[nodiscard]] virtual std::vector<Reach> reach() = 0;
};

}  // namespace aeterna::engine
