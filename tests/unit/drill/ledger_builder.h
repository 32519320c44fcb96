// Builds ledgers in memory for tests: times in milliseconds after an arbitrary origin.
#pragma once

#include <string>
#include <vector>

#include "engine/drill/ledger.h"

namespace aeterna::engine::test {

inline MonoTime at_ms(long milliseconds) {
    return MonoTime(std::chrono::hours(1)) + std::chrono::milliseconds(milliseconds);
}

class LedgerBuilder {
  public:
    LedgerBuilder() {
        content_.started = at_ms(0);
        content_.paths = {{"client", PathKind::kClient}, {"node-1", PathKind::kDirect}, {"node-2", PathKind::kDirect}};
    }
    // One write on `path`, sent and answered at `ms`; returns its id.
    std::uint64_t add(std::uint32_t path, long ms, WriteOutcome outcome) {
        LedgerEntry entry;
        entry.id = (static_cast<std::uint64_t>(path) << kLedgerPathShift) | ++sequence_;
        entry.path = path;
        entry.intended = entry.sent = at_ms(ms);
        entry.done = at_ms(ms);
        entry.outcome = outcome;
        content_.entries.push_back(entry);
        return entry.id;
    }
    // One write each `step` ms in [from, to).
    std::vector<std::uint64_t> span(std::uint32_t path, long from, long to, long step, WriteOutcome outcome) {
        std::vector<std::uint64_t> ids;
        for (long ms = from; ms < to; ms += step) ids.push_back(add(path, ms, outcome));
        return ids;
    }
    [[nodiscard]] const LedgerContent& content() const { return content_; }
    LedgerContent& content() { return content_; }

  private:
    LedgerContent content_;
    std::uint64_t sequence_ = 0;
};

}  // namespace aeterna::engine::test
