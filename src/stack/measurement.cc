#include "stack/measurement.h"

#include <fmt/format.h>

#include <utility>

namespace aeterna::stack {

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
    fault_ = {at, complete, wall_at, std::move(primary), {}, {}};
}

void Measurement::mark_redundant(MonoTime at) { fault_.redundant_at = at; }

bool Measurement::is_stable() const {
    const engine::LedgerContent content = ledger_->snapshot();
    return engine::find_stable_span(content, engine::PathKind::kDirect, fault_.complete).has_value() &&
           engine::find_stable_span(content, engine::PathKind::kClient, fault_.complete).has_value();
}

engine::StoreScore Measurement::score(engine::Journal& journal, const env::Context& context) {
    const Status synced = ledger_->sync();
    engine::StoreScore score =
        score_store(*store_, ledger_->snapshot(), fault_, journal, env_, context);
    score.missed_slots = workload_->missed_slots();
    if (!synced) score.notes.push_back(synced.error().to_string());
    return score;
}

bool Measurement::clean_up(const env::Context& context) {
    const Status done = store_->clean_up(drill_id_, context);
    if (!done) {
        env_.log.warning("drill.cleanup_failed",
                         {{"store", store_->name()}, {"error", done.error().to_string()}});
    }
    return done.has_value();
}

}  // namespace aeterna::stack
