#include "stack/primary_failover.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/runbook/records.h"
#include "stack/healing.h"
#include "stack/start_guard.h"

namespace aeterna::stack {
namespace {

// Whatever the question in whose midst the stop came would be said to have failed by.
Error stopped_before_the_fault() { return make_error(ErrorCode::kCancelled, "the drill was stopped before the fault"); }

// SplitMix64 (Steele, Lea, Flood 2014): enough to spread the injection instant, and the same everywhere.
double unit_interval(std::uint64_t seed) {
    seed += 0x9e3779b97f4a7c15ULL;
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebULL;
    seed ^= seed >> 31;
    return static_cast<double>(seed >> 11) / 9007199254740992.0;
}

std::string list_faults(const std::vector<engine::FaultRecord>& faults) {
    std::string text;
    for (const engine::FaultRecord& fault : faults) {
        text += (text.empty() ? "" : " and ") + find_string(fault.inverse, "primary").value_or(fault.store);
    }
    return text;
}

Json parameters_of(const PrimaryFailoverOptions& options, config::Assist assist, const env::Env& env) {
    Json parameters{{"fault", engine::fault_kind_name(options.fault)},
                    {"seed", options.seed},
                    {"assist", config::assist_name(assist)},
                    {"assist_by", options.assist ? "drill" : "stack"}};
    parameters["process"] = engine::own_process_to_json(env.processes);
    return parameters;
}

bool is_store_redundant(const engine::StackStatus& status, const std::string& store) {
    for (const engine::IncidentSummary& incident : status.incidents) {
        if (incident.store == store && incident.state == "open") return false;
    }
    for (const engine::StoreStatus& candidate : status.stores) {
        if (candidate.store == store) return candidate.health == engine::Health::kOk;
    }
    return false;
}

}  // namespace

PrimaryFailoverDrill::PrimaryFailoverDrill(const config::Stack& stack, engine::Journal& journal, StatusSource status,
                                           Progress progress, const env::Env& env)
    : stack_(stack), journal_(journal), status_(std::move(status)), progress_(std::move(progress)), env_(env) {}

Result<engine::Scorecard> PrimaryFailoverDrill::run(std::vector<std::unique_ptr<engine::DrillStore>> stores,
                                                    const PrimaryFailoverOptions& options,
                                                    const env::Context& context) {
    AETERNA_TRY(require_time(stores, options, context));
    AETERNA_TRY(require_healthy_stack(journal_, status_, env_.clock, context));
    engine::DrillRecord record;
    record.id = engine::make_record_id("q1", env_.clock.wall_now(), env_.random.next());
    record.drill = "q1";
    record.state = "running";
    record.started_at = env_.clock.wall_now();
    const config::Assist assist = options.assist.value_or(stack_.strongest_assist());
    record.parameters = parameters_of(options, assist, env_);
    AETERNA_TRY(journal_.put_drill(record));
    engine::Scorecard card;
    card.drill_id = record.id;
    card.seed = options.seed;
    card.fault = engine::fault_kind_name(options.fault);
    card.assist = config::assist_name(assist);
    card.started_at = record.started_at;
    card.objectives = stack_.objectives;

    // From here on every way out heals first and leaves a record that says how it ended.
    Measurements measurements;
    const Status measured = measure(std::move(stores), options, card, measurements, context);
    if (!measured) return abandon(measured.error(), record, measurements);
    return conclude(std::move(card), record, options, measurements);
}

Status PrimaryFailoverDrill::measure(std::vector<std::unique_ptr<engine::DrillStore>> stores,
                                     const PrimaryFailoverOptions& options, engine::Scorecard& card,
                                     Measurements& measurements, const env::Context& context) {
    AETERNA_TRY(prepare(std::move(stores), card.drill_id, measurements, context));
    for (const auto& measurement : measurements) measurement->start();
    AETERNA_TRY(warm_up(measurements, options, context));
    AETERNA_TRY(inject(measurements, options.fault, card.drill_id, context));
    card.injected_at = env_.clock.wall_now();
    for (const auto& measurement : measurements) {
        if (!measurement->is_faulted()) continue;
        card.injected_at = std::min(card.injected_at, measurement->fault_wall());
    }
    AETERNA_TRY(await_stable(measurements, context));
    // Healing and scoring have time of their own: what was measured must not be lost to a late
    // deadline.
    AETERNA_TRY(heal({env_.clock.now() + 2min, {}, card.drill_id}));
    card.healed = true;
    await_redundancy(measurements, options.redundancy_wait, context);
    for (const auto& measurement : measurements) measurement->stop();
    return check_ledgers(measurements);
}

Error PrimaryFailoverDrill::abandon(Error error, engine::DrillRecord& record, const Measurements& measurements) {
    const env::Context heal_context{env_.clock.now() + 2min, {}, record.id};
    if (const Status healed = heal(heal_context); !healed) {
        error = wrap_error(healed.error(), error.to_string() + "; and healing failed");
        error.hint = "Run `aeterna-dr drill heal`.";
    }
    for (const auto& measurement : measurements) measurement->stop();
    if (const Status ended = end(record, "aborted", measurements, 5s); !ended) {
        env_.log.error("drill.journal_failed", {{"error", ended.error().to_string()}});
    }
    return error;
}

Result<engine::Scorecard> PrimaryFailoverDrill::conclude(engine::Scorecard card, engine::DrillRecord& record,
                                                         const PrimaryFailoverOptions& options,
                                                         const Measurements& measurements) {
    progress_("reading everything back");
    for (const auto& measurement : measurements) {
        const env::Context context{env_.clock.now() + 2min, {}, record.id};
        card.stores.push_back(measurement->score(journal_, context));
        find_kept(card.stores.back(), measurement->store(), options, {env_.clock.now() + 2min, {}, record.id});
    }
    record.scorecard = to_json(card);
    AETERNA_TRY(end(record, "finished", measurements, 1min));
    return card;
}

void PrimaryFailoverDrill::find_kept(engine::StoreScore& score, engine::DrillStore& store,
                                     const PrimaryFailoverOptions& options, const env::Context& context) const {
    if (!score.loss || score.loss->lost.empty() || !options.repository) return;
    const auto opened = options.repository(context);
    auto kept = opened ? store.find_kept(**opened, context.run_id, score.loss->lost, context)
                       : Result<engine::DrillStore::KeptWrites>(opened.error());
    if (kept) score.loss->kept = std::move(*kept);
    else score.notes.push_back("what the repository has of the lost writes is not known: " + kept.error().to_string());
}

Status PrimaryFailoverDrill::end(engine::DrillRecord& record, const std::string& state,
                                 const Measurements& measurements, Duration limit) {
    // Durable before anything is removed: who finds the record later must not take what was
    // removed for lost.
    record.state = "ending";
    AETERNA_TRY(journal_.put_drill(record));
    bool is_clean = true;
    for (const auto& measurement : measurements) {
        is_clean = measurement->clean_up({env_.clock.now() + limit, {}, record.id}) && is_clean;
    }
    if (!is_clean) {
        progress_("what the workload wrote is not all removed yet; serve tries again");
        return {};
    }
    record.state = state;
    record.ended_at = env_.clock.wall_now();
    return journal_.put_drill(record);
}

Status PrimaryFailoverDrill::require_time(const std::vector<std::unique_ptr<engine::DrillStore>>& stores,
                                          const PrimaryFailoverOptions& options, const env::Context& context) {
    Duration needed = options.warm_up + options.spread;
    for (const auto& store : stores)
        needed = std::max(needed, options.warm_up + options.spread + store->objectives().rto);
    if (env_.clock.remaining(context) >= needed) return {};
    return make_error(ErrorCode::kGuardRefused,
                      fmt::format("the deadline is too near: the drill may need {}", format_duration(needed)),
                      "Give it more time, or leave --timeout out.");
}

Status PrimaryFailoverDrill::prepare(std::vector<std::unique_ptr<engine::DrillStore>> stores,
                                     const std::string& drill_id, Measurements& measurements,
                                     const env::Context& context) {
    const std::string directory = fmt::format("{}/drills/{}", stack_.state_directory, drill_id);
    AETERNA_TRY(env_.files.make_directories(directory));
    for (auto& store : stores) {
        const std::string name = store->name();
        auto measurement =
            Measurement::prepare(std::move(store), drill_id, directory, env_, env_.clock.within(30s, context));
        if (!measurement && context.stop.stop_requested()) return stopped_before_the_fault();
        if (!measurement) return wrap_error(measurement.error(), fmt::format("could not prepare {}", name));
        measurements.push_back(std::move(*measurement));
    }
    return {};
}

Status PrimaryFailoverDrill::warm_up(const Measurements& measurements, const PrimaryFailoverOptions& options,
                                     const env::Context& context) {
    const Duration extra = from_seconds(unit_interval(options.seed) * to_seconds(options.spread));
    progress_(fmt::format("workload runs; the fault comes after {} + {} (seed {})", format_duration(options.warm_up),
                          format_duration(extra), options.seed));
    if (!env_.clock.sleep_for(options.warm_up + extra, context.stop)) {
        return stopped_before_the_fault();
    }
    AETERNA_TRY(check_ledgers(measurements));
    for (const auto& measurement : measurements) {
        const engine::LedgerContent ledger = measurement->ledger();
        if (engine::is_steady(ledger, env_.clock.now(), 3s)) continue;
        std::string last_error = "no write was tried";
        for (const engine::LedgerEntry& entry : ledger.entries) {
            const bool is_client = ledger.paths[entry.path].kind == engine::PathKind::kClient;
            if (is_client && entry.outcome != engine::WriteOutcome::kOk) last_error = entry.error;
        }
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("{} does not take writes steadily before any fault: {}",
                                      measurement->store().name(), last_error),
                          "Look at `aeterna-dr status`; the drill broke nothing.");
    }
    return {};
}

Status PrimaryFailoverDrill::inject(Measurements& measurements, engine::FaultKind kind, const std::string& drill_id,
                                    const env::Context& context) {
    engine::FaultInjector injector(stack_, journal_, env_);
    std::vector<engine::FaultRecord> faults;
    std::vector<Measurement*> hit;
    for (const auto& measurement : measurements) {
        if (!measurement->store().has_primary()) {
            const MonoTime now = env_.clock.now();
            measurement->mark_fault(now, now, env_.clock.wall_now(), "");
            continue;
        }
        AETERNA_ASSIGN(const auto target, measurement->store().fault_target(kind, env_.clock.within(5s, context)));
        AETERNA_ASSIGN(auto fault, injector.prepare(drill_id, measurement->store().name(), kind, target, context));
        faults.push_back(std::move(fault));
        hit.push_back(measurement.get());
    }
    progress_(fmt::format("injecting: {} {}", engine::fault_kind_name(kind), list_faults(faults)));
    for (std::size_t i = 0; i < faults.size(); ++i) {
        const std::string primary = find_string(faults[i].inverse, "primary").value_or("");
        const MonoTime at = env_.clock.now();
        const WallTime wall_at = env_.clock.wall_now();
        AETERNA_TRY(injector.inject(faults[i], env_.clock.within(10s, context)));
        hit[i]->mark_fault(at, env_.clock.now(), wall_at, primary);
        AETERNA_TRY(journal_.append_event(
            {wall_at, faults[i].store, "fault.injected", primary, std::string(engine::fault_kind_name(kind))}));
    }
    for (const engine::FaultRecord& fault : faults)
        AETERNA_TRY(injector.complete(fault, env_.clock.within(10s, context)));
    return {};
}

Status PrimaryFailoverDrill::await_stable(const Measurements& measurements, const env::Context& context) {
    std::vector<const Measurement*> waiting;
    for (const auto& measurement : measurements) waiting.push_back(measurement.get());
    const MonoTime start = env_.clock.now();
    while (!waiting.empty()) {
        if (!env_.clock.sleep_for(250ms, context.stop)) {
            return make_error(ErrorCode::kCancelled, "the drill was stopped");
        }
        AETERNA_TRY(check_ledgers(measurements));
        const MonoTime now = env_.clock.now();
        std::erase_if(waiting, [&](const Measurement* measurement) {
            const engine::DrillStore& store = measurement->store();
            if (measurement->is_stable()) {
                progress_(fmt::format("{} takes writes steadily again ({} after the fault)", store.name(),
                                      format_duration(now - measurement->fault_at())));
                return true;
            }
            const bool given_up = now - start > store.objectives().rto + 1min;
            if (given_up) progress_(fmt::format("{} did not come back in time", store.name()));
            return given_up;
        });
    }
    return {};
}

Status PrimaryFailoverDrill::heal(const env::Context& context) {
    const auto healed = heal_faults(stack_, journal_, progress_, env_, env_.clock.within(2min, context));
    if (!healed) return healed.error();
    return {};
}

void PrimaryFailoverDrill::await_redundancy(Measurements& measurements, Duration limit, const env::Context& context) {
    const MonoTime end = env_.clock.now() + limit;
    std::vector<std::optional<MonoTime>> since(measurements.size());
    std::size_t done = 0;
    progress_("waiting for full redundancy");
    while (done < measurements.size() && env_.clock.now() < end && env_.clock.sleep_for(250ms, context.stop)) {
        const auto status = status_(env_.clock.within(2s, context));
        const MonoTime now = env_.clock.now();
        done = 0;
        for (std::size_t i = 0; i < measurements.size(); ++i) {
            const bool redundant = status && is_store_redundant(*status, measurements[i]->store().name());
            if (!redundant) since[i].reset();
            else if (!since[i]) since[i] = now;
            // Three calm seconds: a returned primary looks fine until it is asked to step down.
            if (since[i] && now - *since[i] >= 3s) ++done;
        }
    }
    for (std::size_t i = 0; i < measurements.size(); ++i) {
        if (since[i] && env_.clock.now() - *since[i] >= 3s) measurements[i]->mark_redundant(*since[i]);
    }
}

Status PrimaryFailoverDrill::check_ledgers(const Measurements& measurements) const {
    for (const auto& measurement : measurements) {
        if (const auto error = measurement->ledger_error()) {
            return wrap_error(*error, "the ledger could not be kept, so nothing can be measured");
        }
    }
    return {};
}

}  // namespace aeterna::stack
