// Hysteresis: turns a flickering condition into suspect → firing → clear, by time. Pure.
#pragma once

#include <optional>

#include "base/time.h"
#include "engine/status.h"

namespace aeterna::engine {

struct HysteresisSettings {
    Duration fire_after{};   // the condition must hold this long without a break
    Duration clear_after{};  // and be absent this long
};

class Hysteresis {
  public:
    explicit Hysteresis(HysteresisSettings settings) : settings_(settings) {}
    // `condition`: true, false, or nothing when it cannot be judged now. Unknown holds a firing state (what was
    // seen stays true until the contrary is seen) and turns a clear or suspect one into kUnknown.
    FindingState update(std::optional<bool> condition, MonoTime now);
    // As update, but with strong evidence: fires at once when `condition` is true.
    FindingState update_strong(std::optional<bool> condition, MonoTime now);
    // Forgets a running suspicion (this process stalled), keeps a firing state.
    void restart();
    [[nodiscard]] FindingState state() const { return state_; }

  private:
    HysteresisSettings settings_;
    FindingState state_ = FindingState::kClear;
    std::optional<MonoTime> true_since_;
    std::optional<MonoTime> false_since_;
};

}  // namespace aeterna::engine
