#include "stack/dead_drills.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/drill/scorecard.h"
#include "stack/healing.h"
#include "stack/scoring.h"

namespace aeterna::stack {
namespace {

// A store may be in the middle of its failover: that is what the drill was for.
constexpr Duration kReadBackLimit = 1min;
constexpr Duration kCleanUpLimit = 30s;
// The ledger ends with the last write before the death; the event may be a moment younger.
constexpr auto kLedgerBehind = 2s;
constexpr std::size_t kLedgerLimit = 1 << 30;

struct FoundFault {
    WallTime at{};
    std::string primary;
    bool is_certain = false;
};

// What the journal knows of this drill's fault on `store`: the event is written right after the
// injection, the fault's own record before it.
Result<std::optional<FoundFault>> find_fault(engine::Journal& journal,
                                             const engine::DrillRecord& drill,
                                             const std::string& store, WallTime until) {
    AETERNA_ASSIGN(const auto faults, journal.faults_of(drill.id));
    const auto fault = std::find_if(faults.begin(), faults.end(), [&](const auto& candidate) {
        return candidate.store == store;
    });
    if (fault == faults.end()) return std::optional<FoundFault>();
    FoundFault found{fault->at, find_string(fault->inverse, "primary").value_or(""), false};
    AETERNA_ASSIGN(const auto events, journal.events(drill.started_at, until));
    for (const engine::StoreEvent& event : events) {
        if (event.kind != "fault.injected" || event.store != store) continue;
        found.at = event.at;
        found.is_certain = true;
    }
    return std::optional<FoundFault>(std::move(found));
}

class DeadDrill {
  public:
    DeadDrill(const DeadDrillParts& parts, engine::DrillRecord& record)
        : parts_(parts), record_(record) {}

    // Nothing is removed yet.
    Result<engine::Scorecard> score(const env::Context& context) {
        engine::Scorecard card;
        card.drill_id = record_.id;
        card.drill = record_.drill;
        card.seed =
            static_cast<std::uint64_t>(find_integer(record_.parameters, "seed").value_or(0));
        card.fault = find_string(record_.parameters, "fault").value_or("unknown");
        card.started_at = record_.started_at;
        card.injected_at = record_.started_at;
        card.objectives = parts_.stack.objectives;
        card.healed = true;
        std::optional<WallTime> injected;
        for (const auto& store : parts_.stores()) {
            AETERNA_ASSIGN(engine::StoreScore score, score_one(*store, context));
            if (score.faulted)
                injected = std::min(injected.value_or(score.injected_at), score.injected_at);
            card.stores.push_back(std::move(score));
        }
        card.injected_at = injected.value_or(record_.started_at);
        return card;
    }

    Status clean_up(const env::Context& context) {
        std::optional<Error> first_error;
        for (const auto& store : parts_.stores()) {
            const env::Context limited = parts_.env.clock.within(kCleanUpLimit, context);
            const Status cleaned = store->clean_up(record_.id, limited);
            if (cleaned || first_error) continue;
            first_error = wrap_error(cleaned.error(),
                                     fmt::format("cannot remove what drill '{}' wrote into {}",
                                                 record_.id, store->name()));
        }
        if (first_error) return *first_error;
        return {};
    }

  private:
    Result<engine::StoreScore> score_one(engine::DrillStore& store, const env::Context& context) {
        engine::StoreScore unread;
        unread.store = store.name();
        unread.server = store.server();
        unread.objectives = store.objectives();
        unread.injected_at = record_.started_at;
        unread.cut_short = true;
        const auto ledger = read_ledger(store.name());
        if (!ledger) {
            unread.notes.push_back(
                fmt::format("there is no ledger to measure from: {}", ledger.error().to_string()));
            return unread;
        }
        const MonoTime last = ledger->last();
        const WallTime died = ledger->wall(last);
        AETERNA_ASSIGN(const auto found,
                       find_fault(parts_.journal, record_, store.name(), died + kLedgerBehind));
        StoreFault fault{last, last, died, "", {}, died};
        if (found) {
            fault.at = ledger->mono(found->at);
            // When it had taken hold was never journaled; nothing can have failed before.
            fault.complete =
                engine::find_first_failure(*ledger, fault.at, found->primary).value_or(fault.at);
            fault.wall = found->at;
            fault.primary = found->primary;
        }
        engine::StoreScore score = score_store(store, *ledger, fault, parts_.journal, parts_.env,
                                               parts_.env.clock.within(kReadBackLimit, context));
        score.cut_short = true;
        if (!found) {
            score.rto_seconds.reset();
            score.client_rto_seconds.reset();
            score.notes = {"the drill died before it broke anything here"};
        } else {
            score.notes.insert(
                score.notes.begin(),
                fmt::format("the drill died {} after the fault",
                            format_duration(std::max<Duration>(last - fault.at, 0s))));
            if (!found->is_certain)
                score.notes.emplace_back(
                    "it died while it injected the fault: the instant is near");
        }
        return score;
    }

    Result<engine::LedgerContent> read_ledger(const std::string& store) const {
        const std::string file =
            fmt::format("{}/drills/{}/{}.ledger", parts_.stack.state_directory, record_.id, store);
        AETERNA_ASSIGN(const std::string text, parts_.env.files.read(file, kLedgerLimit));
        return engine::parse_ledger(text);
    }

    const DeadDrillParts& parts_;
    engine::DrillRecord& record_;
};

// Scores unless that was done, removes, closes.
Status end_one(const DeadDrillParts& parts, engine::DrillRecord record,
               const env::Context& context) {
    DeadDrill drill(parts, record);
    const bool died_running = record.state == "running";
    if (died_running) {
        parts.progress(fmt::format("drill {} died; measuring what its ledgers hold", record.id));
        AETERNA_ASSIGN(const engine::Scorecard card, drill.score(context));
        // A read-back that was only interrupted can still be had by the next one.
        if (context.stop.stop_requested())
            return make_error(ErrorCode::kCancelled, "stopped while measuring");
        record.scorecard = to_json(card);
        // Durable before anything is removed: who comes next must not take what was removed for
        // lost.
        record.state = "ending";
        AETERNA_TRY(parts.journal.put_drill(record));
    }
    AETERNA_TRY(drill.clean_up(context));
    // One that had measured everything died while it tidied up.
    const bool was_measured = !died_running && find_boolean(record.scorecard, "cut_short") == false;
    record.state = was_measured ? "finished" : "aborted";
    record.ended_at = parts.env.clock.wall_now();
    return parts.journal.put_drill(record);
}

}  // namespace

Result<Aftermath> end_dead_drills(const DeadDrillParts& parts, const env::Context& context) {
    Aftermath aftermath;
    AETERNA_ASSIGN(aftermath.healed,
                   heal_faults(parts.stack, parts.journal, parts.progress, parts.env, context));
    AETERNA_ASSIGN(const auto unfinished, parts.journal.unfinished_drills());
    for (const engine::DrillRecord& record : unfinished) {
        // One that cannot be ended must not keep the others open.
        const Status ended = end_one(parts, record, context);
        if (ended) aftermath.closed.push_back(record.id);
        else if (!aftermath.left) aftermath.left = ended.error();
    }
    return aftermath;
}

}  // namespace aeterna::stack
