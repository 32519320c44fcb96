// The common part of the detectors: hysteresis per subject, and since when.
#include "redis/detect/detector.h"

namespace aeterna::redis {

using engine::FindingState;

engine::Finding Detector::settle(const std::string& subject, Opinion opinion, const Snapshot& snapshot) {
    Tracked& tracked = tracked_.try_emplace(subject, settings_).first->second;
    if (tracked.since == WallTime{}) tracked.since = snapshot.wall_now;
    if (snapshot.stalled) tracked.hysteresis.restart();
    std::optional<bool> condition = opinion.condition;
    if (snapshot.isolated || snapshot.stalled || opinion.is_suspect) condition = std::nullopt;
    FindingState state = opinion.is_strong ? tracked.hysteresis.update_strong(condition, snapshot.now)
                                           : tracked.hysteresis.update(condition, snapshot.now);
    const bool is_judged = !snapshot.isolated && !snapshot.stalled;
    if (opinion.is_suspect && is_judged && state != FindingState::kFiring) state = FindingState::kSuspect;
    if (state != tracked.shown) {
        tracked.shown = state;
        tracked.since = snapshot.wall_now;
    }
    // While a firing state only waits to be cleared, its reasons stay the ones that it fired for.
    const bool has_news = opinion.condition.value_or(false) || opinion.is_suspect;
    if (has_news || state != FindingState::kFiring) {
        tracked.summary = opinion.summary;
        tracked.reasons = opinion.reasons;
    }
    return {name_, "redis", subject, severity_, state, tracked.summary, tracked.reasons, tracked.since};
}

std::vector<std::unique_ptr<Detector>> make_detectors() {
    std::vector<std::unique_ptr<Detector>> detectors;
    detectors.push_back(make_master_down());
    detectors.push_back(make_master_empty());
    detectors.push_back(make_odown());
    detectors.push_back(make_sentinel_quorum());
    detectors.push_back(make_sentinels_disagree());
    detectors.push_back(make_sentinel_down());
    detectors.push_back(make_replica_down());
    detectors.push_back(make_replication_broken());
    detectors.push_back(make_replication_lag());
    detectors.push_back(make_two_masters());
    detectors.push_back(make_divided());
    detectors.push_back(make_cache_miss());
    detectors.push_back(make_persistence_failed());
    detectors.push_back(make_loading());
    return detectors;
}

}  // namespace aeterna::redis
