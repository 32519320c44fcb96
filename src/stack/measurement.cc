#include "stack/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace aeterna::stack {
namespace {

// The earliest critical incident of the store that was opened after the fault: the watcher's own detection.
std::optional<WallTime> detected_at(engine::Journal& journal, const std::string& store, WallTime fault) {
    const auto incidents = journal.incidents(fault, 1000);
    if (!incidents) return std::nullopt;
    std::optional<WallTime> earliest;
    for (const engine::IncidentSummary& incident : *incidents) {
        if (incident.store != store || incident.opened_at < fault || incident.severity != "critical") continue;
        earliest = earliest ? std::min(*earliest, incident.opened_at) : incident.opened_at;
    }
    return earliest;
}

std::optional<WallTime> promoted_at(engine::Journal& journal, const std::string& store, WallTime from, WallTime to) {
    const auto events = journal.events(from, to);
    if (!events) return std::nullopt;
    for (const engine::StoreEvent& event : *events) {
        if (event.store == store && (event.kind == "primary.changed" || event.kind == "master.changed")) {
            return event.at;
        }
    }
    return std::nullopt;
}

}  // namespace

Measurement::Measurement(std::unique_ptr<engine::DrillStore> store, std::string drill_id, const env::Env& env)
    : store_(std::move(store)), drill_id_(std::move(drill_id)), env_(env) {}

Result<std::unique_ptr<Measurement>> Measurement::prepare(std::unique_ptr<engine::DrillStore> store,
                                                          const std::string& drill_id,
                                                          const std::string& directory, const env::Env& env,
                                                          const env::Context& context) {
    std::unique_ptr<Measurement> self(new Measurement(std::move(store), drill_id, env));
    AETERNA_TRY(self->store_->prepare(drill_id, context));
    AETERNA_ASSIGN(auto paths, self->store_->paths(drill_id));
    std::vector<engine::LedgerPath> names;
    for (const engine::WritePath& path : paths) names.push_back({path.name, path.kind});
    AETERNA_ASSIGN(self->ledger_,
                   engine::Ledger::create(fmt::format("{}/{}.ledger", directory, self->store_->name()), drill_id,
                                          self->store_->name(), std::move(names), env));
    self->workload_ = std::make_unique<engine::Workload>(std::move(paths), *self->ledger_,
                                                         engine::WorkloadSettings{}, env);
    return self;
}

void Measurement::start() { workload_->start(); }

void Measurement::stop() { workload_->stop(); }

void Measurement::mark_fault(MonoTime at, MonoTime complete, WallTime wall_at, std::string primary) {
    faulted_ = !primary.empty();
    fault_at_ = at;
    fault_complete_ = complete;
    fault_wall_ = wall_at;
    primary_ = std::move(primary);
}

void Measurement::mark_redundant(MonoTime at) { redundant_at_ = at; }

bool Measurement::is_stable() const {
    const engine::LedgerContent content = ledger_->snapshot();
    return engine::find_stable_span(content, engine::PathKind::kDirect, fault_at_).has_value() &&
           engine::find_stable_span(content, engine::PathKind::kClient, fault_at_).has_value();
}

engine::StoreScore Measurement::score(engine::Journal& journal, const env::Context& context) {
    engine::StoreScore score;
    score.store = store_->name();
    score.server = store_->server();
    score.objectives = store_->objectives();
    score.faulted = faulted_;
    score.injected_at = fault_wall_;
    score.primary = primary_;
    score.missed_slots = workload_->missed_slots();
    if (const Status synced = ledger_->sync(); !synced) score.notes.push_back(synced.error().to_string());
    const engine::LedgerContent ledger = ledger_->snapshot();
    const auto direct = engine::find_stable_span(ledger, engine::PathKind::kDirect, fault_at_);
    const auto client = engine::find_stable_span(ledger, engine::PathKind::kClient, fault_at_);
    if (direct) score.rto_seconds = to_seconds(direct->first - fault_at_);
    if (client) score.client_rto_seconds = to_seconds(client->first - fault_at_);
    if (!direct) score.notes.emplace_back("no unbroken 5 s of writes straight to the nodes before the end");
    if (!client) score.notes.emplace_back("no unbroken 5 s of writes on the client's path before the end");
    add_phases(score, ledger, journal);
    read_back(score, ledger, context);
    return score;
}

void Measurement::read_back(engine::StoreScore& score, const engine::LedgerContent& ledger,
                            const env::Context& context) {
    // The store may still settle for a moment; a read-back that fails once is not yet unknown.
    while (true) {
        const auto present = store_->read_back(drill_id_, env_.clock.within(30s, context));
        if (present) {
            score.loss = engine::compute_loss(ledger, *present, fault_complete_);
            break;
        }
        if (!env_.clock.sleep_for(1s, context.stop) || env_.clock.remaining(context) <= Duration::zero()) {
            score.notes.push_back(fmt::format("could not read back: {}", present.error().to_string()));
            return;
        }
    }
    if (score.loss->unexpected > 0) {
        score.notes.push_back(fmt::format("{} writes that were refused are there", score.loss->unexpected));
    }
}

void Measurement::add_phases(engine::StoreScore& score, const engine::LedgerContent& ledger,
                             engine::Journal& journal) {
    const auto add = [&](const char* name, double seconds) {
        score.phases.push_back({name, score.store, seconds});
    };
    const auto since_fault = [&](MonoTime time) { return to_seconds(time - fault_at_); };
    if (!faulted_) return;
    add("injected", 0);
    const auto failure = engine::find_first_failure(ledger, fault_at_, primary_);
    score.interrupted = failure.has_value();
    if (failure) add("first_failure", since_fault(*failure));
    else score.notes.emplace_back("no write failed after the fault: it may have hit the wrong processes");
    if (const auto detected = detected_at(journal, score.store, fault_wall_)) {
        score.detect_seconds = to_seconds(*detected - fault_wall_);
        add("detected", *score.detect_seconds);
    } else {
        score.notes.emplace_back("the watcher opened no critical incident");
    }
    if (const auto promoted = promoted_at(journal, score.store, fault_wall_, env_.clock.wall_now())) {
        add("promoted", to_seconds(*promoted - fault_wall_));
    }
    add_assist(score, journal);
    if (score.assist && score.assist->acted_at_seconds) add("assisted", *score.assist->acted_at_seconds);
    if (failure) {
        if (const auto success = engine::find_first_success(ledger, *failure)) {
            add("first_success", since_fault(*success));
        }
    }
    const auto direct = engine::find_stable_span(ledger, engine::PathKind::kDirect, fault_at_);
    const auto client = engine::find_stable_span(ledger, engine::PathKind::kClient, fault_at_);
    if (direct && client) add("stable", since_fault(std::max(direct->stable, client->stable)));
    if (redundant_at_) add("redundancy_restored", since_fault(*redundant_at_));
    else score.notes.emplace_back("full redundancy did not come back before the end");
    std::stable_sort(score.phases.begin(), score.phases.end(),
                     [](const engine::Phase& a, const engine::Phase& b) { return a.at_seconds < b.at_seconds; });
    const auto target = store_->fault_target(
        engine::FaultKind::kKill, env::Context{env_.clock.now() + 5s, {}, drill_id_});
    if (target) score.new_primary = target->primary;
}

// Of the failover that `serve` ran for this store after the fault. The first word counts: what followed it came too late.
void Measurement::add_assist(engine::StoreScore& score, engine::Journal& journal) const {
    const auto executions = journal.executions(100);
    if (!executions) return;
    for (auto execution = executions->rbegin(); execution != executions->rend(); ++execution) {
        if (execution->store != score.store || execution->started_at < fault_wall_) continue;
        score.assist = engine::assist_score(execution->facts, fault_wall_);
        if (score.assist) return;
    }
}

void Measurement::clean_up(const env::Context& context) {
    if (const Status done = store_->clean_up(drill_id_, context); !done) {
        env_.log.warning("drill.cleanup_failed",
                         {{"store", store_->name()}, {"error", done.error().to_string()}});
    }
}

}  // namespace aeterna::stack
