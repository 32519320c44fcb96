#include "engine/detect/isolation.h"

#include <algorithm>
#include <set>
#include <string>

namespace aeterna::engine {
namespace {

// All that was tried is silent, and that is enough to doubt ourselves.
bool is_silent(const std::vector<Reach>& reach) {
    std::set<std::string> hosts, tried_hosts;
    int tried = 0;
    for (const Reach& vantage : reach) {
        hosts.insert(vantage.host);
        if (vantage.answered) return false;
        if (!vantage.tried) continue;
        tried_hosts.insert(vantage.host);
        ++tried;
    }
    return hosts.size() == 1 ? tried >= 2 : tried_hosts.size() >= 2;
}

}  // namespace

IsolationGuard::Verdict IsolationGuard::judge(const std::vector<Reach>& reach, MonoTime now) {
    Verdict verdict;
    verdict.stalled = last_ && now - *last_ > settings_.stall_after;
    last_ = now;
    // Silence from before a stall is our own sleep.
    if (verdict.stalled) silent_rounds_ = 0;
    silent_rounds_ = is_silent(reach) ? std::min(silent_rounds_ + 1, settings_.rounds) : 0;
    verdict.isolated = silent_rounds_ > 0 && silent_rounds_ >= settings_.rounds;
    // Whoever answers second must not be condemned by the silence that was ours.
    if (was_isolated_ && !verdict.isolated) verdict.stalled = true;
    was_isolated_ = verdict.isolated;
    return verdict;
}

}  // namespace aeterna::engine
