// Drill Q1, primary failover: kills (or pauses) the primary of every store that has one, under a workload, at a random
// recorded instant, and measures what clients and data went through. It has no detectors of its own: detection and
// topology changes are read from what `serve` journaled. Whatever it breaks, it heals, also when it is stopped.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/drill/fault.h"
#include "engine/drill/scorecard.h"
#include "engine/runbook/journal.h"
#include "engine/status.h"
#include "stack/measurement.h"
#include "stack/start_guard.h"

namespace aeterna::stack {

struct PrimaryFailoverOptions {
    engine::FaultKind fault = engine::FaultKind::kKill;
    std::uint64_t seed = 0;
    Duration warm_up = std::chrono::seconds(5);
    // The injection instant is uniform over this span after the warm-up: Patroni's loop_wait, since a failover's length
    // depends on the phase within it.
    Duration spread = std::chrono::seconds(10);
    Duration redundancy_wait = std::chrono::minutes(5);
    // What serve's failovers may do meanwhile; nothing = what the stack file says of each store.
    std::optional<config::Assist> assist;
    // Where lost writes are looked for, and the reason when it cannot be had; null: the stack has none.
    std::function<Result<repository::Repository*>(const env::Context&)> repository;
};

class PrimaryFailoverDrill {
  public:
    using StatusSource = stack::StatusSource;
    using Progress = std::function<void(const std::string&)>;

    PrimaryFailoverDrill(const config::Stack& stack, engine::Journal& journal, StatusSource status,
                         Progress progress, const env::Env& env);

    // Runs to the end: healed, read back, journaled. An Error means that nothing was measured (not healthy, not
    // steady, stopped); what had been broken is healed even then.
    [[nodiscard]] Result<engine::Scorecard> run(std::vector<std::unique_ptr<engine::DrillStore>> stores,
                                                const PrimaryFailoverOptions& options,
                                                const env::Context& context);

  private:
    using Measurements = std::vector<std::unique_ptr<Measurement>>;
    // Everything until the workload has ended: breaks, waits, heals. `measurements` and `card` hold what there is.
    Status measure(std::vector<std::unique_ptr<engine::DrillStore>> stores, const PrimaryFailoverOptions& options,
                   engine::Scorecard& card, Measurements& measurements, const env::Context& context);
    // Heals, cleans up, journals; the error to be returned.
    [[nodiscard]] Error abandon(Error error, engine::DrillRecord& record, const Measurements& measurements);
    [[nodiscard]] Result<engine::Scorecard> conclude(engine::Scorecard card, engine::DrillRecord& record,
                                                     const PrimaryFailoverOptions& options,
                                                     const Measurements& measurements);
    // Looks into the repository for what was lost; what cannot be told becomes a note.
    void find_kept(engine::StoreScore& score, engine::DrillStore& store, const PrimaryFailoverOptions& options,
                   const env::Context& context) const;
    // Removes what the workload wrote and closes the record; leaves it "ending" when something remains.
    Status end(engine::DrillRecord& record, const std::string& state, const Measurements& measurements,
               Duration limit);
    // A drill that is cut off in the middle has broken things and measured nothing.
    Status require_time(const std::vector<std::unique_ptr<engine::DrillStore>>& stores,
                        const PrimaryFailoverOptions& options, const env::Context& context);
    // What was prepared before a failure is in `measurements` too: it has to be cleaned up.
    Status prepare(std::vector<std::unique_ptr<engine::DrillStore>> stores, const std::string& drill_id,
                   Measurements& measurements, const env::Context& context);
    Status warm_up(const Measurements& measurements, const PrimaryFailoverOptions& options,
                   const env::Context& context);
    Status inject(Measurements& measurements, engine::FaultKind kind, const std::string& drill_id,
                  const env::Context& context);
    // Until every faulted store is stable, or its objective plus a minute has passed.
    Status await_stable(const Measurements& measurements, const env::Context& context);
    Status heal(const env::Context& context);
    void await_redundancy(Measurements& measurements, Duration limit, const env::Context& context);
    Status check_ledgers(const Measurements& measurements) const;

    const config::Stack& stack_;
    engine::Journal& journal_;
    StatusSource status_;
    Progress progress_;
    const env::Env& env_;
};

}  // namespace aeterna::stack
