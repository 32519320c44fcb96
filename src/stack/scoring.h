// Scoring: one store's figures, from its ledger, a read-back and what the watcher journaled. The
// same for a drill that came to its end and for one that died: what is known of the fault is all
// that differs.
#pragma once

#include <optional>
#include <string>

#include "engine/drill/scorecard.h"
#include "engine/runbook/journal.h"

namespace aeterna::stack {

// A store's fault on the ledger's time axis. Without a primary the store was only watched.
struct StoreFault {
    MonoTime at{};        // before the first signal: outages count from it
    MonoTime complete{};  // it had taken hold: what was acknowledged until then counts as before it
    WallTime wall{};      // `at` by the wall clock
    std::string primary;
    std::optional<MonoTime> redundant_at;
    // What was journaled later has nothing to do with it; nothing = the present.
    std::optional<WallTime> until;
    [[nodiscard]] bool is_faulted() const { return !primary.empty(); }
};

// Reads everything back (again and again until `context` ends) and computes the score. What could
// not be measured becomes a note, never an error.
[[nodiscard]] engine::StoreScore score_store(engine::DrillStore& store,
                                             const engine::LedgerContent& ledger,
                                             const StoreFault& fault, engine::Journal& journal,
                                             const env::Env& env, const env::Context& context);

}  // namespace aeterna::stack
