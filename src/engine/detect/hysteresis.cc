#include "engine/detect/hysteresis.h"

namespace aeterna::engine {

FindingState Hysteresis::update(std::optional<bool> condition, MonoTime now) {
    const bool firing = state_ == FindingState::kFiring;
    if (!condition) {
        // A gap breaks "without a break" in both directions.
        true_since_.reset();
        false_since_.reset();
        if (!firing) state_ = FindingState::kUnknown;
    } else if (*condition) {
        false_since_.reset();
        if (!true_since_) true_since_ = now;
        const bool long_enough = now - *true_since_ >= settings_.fire_after;
        if (!firing) state_ = long_enough ? FindingState::kFiring : FindingState::kSuspect;
    } else {
        true_since_.reset();
        if (!false_since_) false_since_ = now;
        const bool long_enough = now - *false_since_ >= settings_.clear_after;
        if (!firing || long_enough) state_ = FindingState::kClear;
    }
    return state_;
}

FindingState Hysteresis::update_strong(std::optional<bool> condition, MonoTime now) {
    update(condition, now);
    if (condition && *condition) state_ = FindingState::kFiring;
    return state_;
}

void Hysteresis::restart() {
    true_since_.reset();
    false_since_.reset();
    if (state_ == FindingState::kSuspect) state_ = FindingState::kUnknown;
}

}  // namespace aeterna::engine
