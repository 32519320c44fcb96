// IsolationGuard: before "they are all dead", ask "or is it me?". Pure. Two doubts about ourselves:
// isolated = we reach nobody, so silence says nothing about the others; stalled = this very process did not run
// (suspend, SIGSTOP, starved CPU), so its old observations say nothing either.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "engine/detect/monitor.h"

namespace aeterna::engine {

struct IsolationSettings {
    int rounds = 2;                              // judge calls in a row without any answer
    Duration stall_after = std::chrono::seconds(2);  // gap between judge calls (nominal: 100 to 200 ms)
};

class IsolationGuard {
  public:
    struct Verdict {
        bool isolated = false;
        // True once per stall, and once when an isolation ends: what was (not) seen until now says nothing.
        bool stalled = false;
    };

    explicit IsolationGuard(IsolationSettings settings = {}) : settings_(settings) {}
    // `reach`: of all monitors together. Isolated when vantages on at least two hosts were tried (two vantages,
    // where the stack has one host) and none answered, `rounds` times in a row; one answer ends it at once.
    [[nodiscard]] Verdict judge(const std::vector<Reach>& reach, MonoTime now);

  private:
    IsolationSettings settings_;
    int silent_rounds_ = 0;
    std::optional<MonoTime> last_;
    bool was_isolated_ = false;
};

}  // namespace aeterna::engine
