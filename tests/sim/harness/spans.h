// Spans: when something held, as it was looked at again and again.
#pragma once

#include <algorithm>
#include <vector>

#include "base/time.h"

namespace aeterna::sim {

// design.md: a stall of up to 5 s never leads to a fence. The rest is the looks' own spacing.
inline constexpr Duration kSilenceBeforeAct = std::chrono::milliseconds(4500);
// A question that was lost is given up after a second, the next one comes half a second later: who was to be heard for
// less than that need not have been.
inline constexpr Duration kOneQuestion = std::chrono::milliseconds(1600);

class Spans {
  public:
    void note(bool holds, MonoTime now) {
        if (holds && !holds_) spans_.push_back({now, now});
        // What holds no longer may have ended right after the last look.
        if (holds) spans_.back().last = now;
        holds_ = holds;
    }
    // Without a break. What holds now is taken to have held since the last look.
    [[nodiscard]] bool covers(MonoTime from, MonoTime to) const {
        return std::any_of(spans_.begin(), spans_.end(), [&](const Span& span) {
            return span.first <= from && (span.last >= to || (holds_ && &span == &spans_.back()));
        });
    }
    // Somewhere in between, as a part of at least that long.
    [[nodiscard]] bool touches(MonoTime from, MonoTime to, Duration least = {}) const {
        return std::any_of(spans_.begin(), spans_.end(), [&](const Span& span) {
            return span.first <= to && span.last >= from && span.last - span.first >= least;
        });
    }

  private:
    struct Span {
        MonoTime first, last;
    };
    std::vector<Span> spans_;
    bool holds_ = false;
};

}  // namespace aeterna::sim
