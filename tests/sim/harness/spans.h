// Spans: when something held, as it was looked at again and again.
#pragma once

#include <algorithm>
#include <vector>

#include "base/time.h"

namespace aeterna::sim {

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
