#include "stack/scoring.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/drill/assist_score.h"

namespace aeterna::stack {
namespace {

constexpr Duration kSlowInjection = 1s;

// The earliest critical incident of the store that was opened after the fault: the watcher's own
// detection.
std::optional<WallTime> detected_at(engine::Journal& journal, const std::string& store,
                                    WallTime fault, WallTime until) {
    const auto incidents = journal.incidents(fault, 1000);
    if (!incidents) return std::nullopt;
    std::optional<WallTime> earliest;
    for (const engine::IncidentSummary& incident : *incidents) {
        const bool is_in_time = incident.opened_at >= fault && incident.opened_at <= until;
        if (incident.store != store || !is_in_time || incident.severity != "critical") continue;
        earliest = earliest ? std::min(*earliest, incident.opened_at) : incident.opened_at;
    }
    return earliest;
}

std::optional<WallTime> promoted_at(engine::Journal& journal, const std::string& store,
                                    WallTime from, WallTime to) {
    const auto events = journal.events(from, to);
    if (!events) return std::nullopt;
    for (const engine::StoreEvent& event : *events) {
        const bool is_change = event.kind == "primary.changed" || event.kind == "master.changed";
        if (event.store == store && is_change) return event.at;
    }
    return std::nullopt;
}

class Scoring {
  public:
    Scoring(engine::DrillStore& store, const engine::LedgerContent& ledger, const StoreFault& fault,
            const env::Env& env)
        : store_(store), ledger_(ledger), fault_(fault), env_(env) {
        // What was acknowledged while the fault was taking hold is no recovery from it.
        direct_ = engine::find_stable_span(ledger, engine::PathKind::kDirect, fault.complete);
        client_ = engine::find_stable_span(ledger, engine::PathKind::kClient, fault.complete);
    }

    engine::StoreScore compute(engine::Journal& journal, const env::Context& context) {
        score_.store = store_.name();
        score_.server = store_.server();
        score_.objectives = store_.objectives();
        score_.faulted = fault_.is_faulted();
        score_.injected_at = fault_.wall;
        score_.primary = fault_.primary;
        if (direct_) score_.rto_seconds = since_fault(direct_->first);
        if (client_) score_.client_rto_seconds = since_fault(client_->first);
        if (!direct_) note("no unbroken 5 s of writes straight to the nodes before the end");
        if (!client_) note("no unbroken 5 s of writes on the client's path before the end");
        if (const Duration slow = fault_.complete - fault_.at; slow >= kSlowInjection) {
            note(fmt::format("the injection took {}: outages may be shorter by as much",
                             format_duration(slow)));
        }
        if (fault_.is_faulted()) add_phases(journal);
        read_back(context);
        return std::move(score_);
    }

  private:
    [[nodiscard]] double since_fault(MonoTime time) const { return to_seconds(time - fault_.at); }
    [[nodiscard]] double since_fault(WallTime time) const { return to_seconds(time - fault_.wall); }
    void note(std::string text) { score_.notes.push_back(std::move(text)); }
    void add(const char* name, double seconds) {
        score_.phases.push_back({name, score_.store, seconds});
    }

    // An instant of the ledger, with the write that shows it.
    void add(const char* name, MonoTime at) {
        score_.phases.push_back({name, score_.store, since_fault(at), engine::find_write(ledger_, at)});
    }

    void add_phases(engine::Journal& journal) {
        add("injected", 0);
        const auto failure = engine::find_first_failure(ledger_, fault_.at, fault_.primary);
        score_.interrupted = failure.has_value();
        if (failure) add("first_failure", *failure);
        else note("no write failed after the fault: it may have hit the wrong processes");
        add_journaled(journal);
        // What the RTO ends with; a lone acknowledgement of a dying backend is none.
        if (failure && direct_) add("first_success", direct_->first);
        if (direct_ && client_)
            add("stable", std::max(direct_->stable, client_->stable));
        if (fault_.redundant_at) add("redundancy_restored", since_fault(*fault_.redundant_at));
        else note("full redundancy did not come back before the end");
        std::stable_sort(score_.phases.begin(), score_.phases.end(),
                         [](const auto& a, const auto& b) { return a.at_seconds < b.at_seconds; });
        const env::Context soon{env_.clock.now() + 5s, {}, ledger_.drill_id};
        const auto target = store_.fault_target(engine::FaultKind::kKill, soon);
        if (target) score_.new_primary = target->primary;
    }

    void add_journaled(engine::Journal& journal) {
        const WallTime until = fault_.until.value_or(env_.clock.wall_now());
        if (const auto detected = detected_at(journal, score_.store, fault_.wall, until)) {
            score_.detect_seconds = since_fault(*detected);
            add("detected", *score_.detect_seconds);
        } else {
            note("the watcher opened no critical incident");
        }
        if (const auto promoted = promoted_at(journal, score_.store, fault_.wall, until)) {
            add("promoted", since_fault(*promoted));
        }
        add_assist(journal);
        if (score_.assist && score_.assist->acted_at_seconds) add("assisted", *score_.assist->acted_at_seconds);
    }

    // Of the failover that `serve` ran for this store after the fault. The first word counts: what followed it came
    // too late.
    void add_assist(engine::Journal& journal) {
        const auto executions = journal.executions(100);
        if (!executions) return;
        for (auto execution = executions->rbegin(); execution != executions->rend(); ++execution) {
            if (execution->store != score_.store || execution->started_at < fault_.wall) continue;
            score_.assist = engine::assist_score(execution->facts, fault_.wall);
            if (score_.assist) return;
        }
    }

    void read_back(const env::Context& context) {
        // The store may still settle for a moment; a read-back that fails once is not yet unknown.
        while (true) {
            const auto present =
                store_.read_back(ledger_.drill_id, env_.clock.within(30s, context));
            if (present) {
                score_.loss = engine::compute_loss(ledger_, *present, fault_.complete);
                break;
            }
            const bool goes_on = env_.clock.sleep_for(1s, context.stop);
            if (!goes_on || env_.clock.remaining(context) <= Duration::zero()) {
                note(fmt::format("could not read back: {}", present.error().to_string()));
                return;
            }
        }
        if (score_.loss->unexpected == 0) return;
        note(fmt::format("{} writes that were refused are there", score_.loss->unexpected));
    }

    engine::DrillStore& store_;
    const engine::LedgerContent& ledger_;
    const StoreFault& fault_;
    const env::Env& env_;
    std::optional<engine::StableSpan> direct_, client_;
    engine::StoreScore score_;
};

}  // namespace

engine::StoreScore score_store(engine::DrillStore& store, const engine::LedgerContent& ledger,
                               const StoreFault& fault, engine::Journal& journal,
                               const env::Env& env, const env::Context& context) {
    return Scoring(store, ledger, fault, env).compute(journal, context);
}

}  // namespace aeterna::stack
