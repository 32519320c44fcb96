#include "engine/drill/scorecard.h"

#include <algorithm>
#include <utility>

#include "engine/drill/statistics.h"

namespace aeterna::engine {
namespace {

struct Outcome {
    MonoTime at;
    bool is_ok;
};

// Outcomes of one kind of path after `from`, by time. A write that never came back counts at its deadline only
// through the gap that it leaves.
std::vector<Outcome> outcomes_after(const LedgerContent& ledger, PathKind kind, MonoTime from) {
    std::vector<Outcome> outcomes;
    for (const LedgerEntry& entry : ledger.entries) {
        if (ledger.paths[entry.path].kind != kind || !entry.done || *entry.done < from) continue;
        outcomes.push_back({*entry.done, entry.outcome == WriteOutcome::kOk});
    }
    std::stable_sort(outcomes.begin(), outcomes.end(),
                     [](const Outcome& a, const Outcome& b) { return a.at < b.at; });
    return outcomes;
}

double seconds_between(MonoTime from, MonoTime to) { return to_seconds(to - from); }

Json score_to_json(const StoreScore& score) {
    Json json = {{"rto_seconds", json_or_null(score.rto_seconds)},
                 {"client_rto_seconds", json_or_null(score.client_rto_seconds)},
                 {"rpo_seconds", nullptr},
                 {"detect_seconds", json_or_null(score.detect_seconds)},
                 {"acknowledged", nullptr},
                 {"lost", nullptr},
                 {"unknown", nullptr},
                 {"objective_rto_seconds", to_seconds(score.objectives.rto)},
                 {"objective_rpo_seconds", to_seconds(score.objectives.rpo)},
                 {"met", json_or_null(score.met())},
                 {"server", score.server},
                 {"faulted", score.faulted},
                 {"injected_at", format_time(score.injected_at)},
                 {"primary", score.primary},
                 {"new_primary", score.new_primary},
                 {"assist", score.assist ? to_json(*score.assist) : Json(nullptr)},
                 {"missed_slots", score.missed_slots},
                 {"notes", score.notes}};
    if (score.loss) {
        json["rpo_seconds"] = score.loss->rpo_seconds;
        json["acknowledged"] = score.loss->acknowledged;
        json["lost"] = score.loss->lost.size();
        json["lost_ids"] = score.loss->lost;
        json["lost_in_repository"] = score.loss->kept ? Json(*score.loss->kept) : Json(nullptr);
        json["lost_before_fault"] = score.loss->lost_before;
        json["lost_after_fault"] = score.loss->lost_after;
        json["unknown"] = score.loss->unknown;
        json["unknown_present"] = score.loss->unknown_present;
        json["unexpected"] = score.loss->unexpected;
    }
    return json;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
    switch (verdict) {
        case Verdict::kPass: return "pass";
        case Verdict::kFail: return "fail";
        case Verdict::kUnknown: return "unknown";
    }
    return "unknown";
}

std::optional<StableSpan> find_stable_span(const LedgerContent& ledger, PathKind kind, MonoTime fault) {
    std::optional<MonoTime> first;
    MonoTime previous{};
    for (const Outcome& outcome : outcomes_after(ledger, kind, fault)) {
        if (!outcome.is_ok) {
            if (kind == PathKind::kClient) first.reset();
            continue;
        }
        if (!first || outcome.at - previous > kGap) first = outcome.at;
        previous = outcome.at;
        if (outcome.at - *first >= kStableFor) return StableSpan{*first, outcome.at};
    }
    return std::nullopt;
}

Loss compute_loss(const LedgerContent& ledger, const std::vector<std::uint64_t>& present, MonoTime fault) {
    Loss loss;
    std::optional<MonoTime> oldest_before, first_after, last_after;
    for (const LedgerEntry& entry : ledger.entries) {
        const bool is_present = std::binary_search(present.begin(), present.end(), entry.id);
        if (!entry.done || entry.outcome == WriteOutcome::kUnknown) {
            ++loss.unknown;
            loss.unknown_present += is_present ? 1 : 0;
        } else if (entry.outcome == WriteOutcome::kFail) {
            loss.unexpected += is_present ? 1 : 0;
        } else {
            ++loss.acknowledged;
            if (is_present) continue;
            loss.lost.push_back(entry.id);
            const MonoTime at = *entry.done;
            if (at < fault) {
                ++loss.lost_before;
                oldest_before = oldest_before ? std::min(*oldest_before, at) : at;
            } else {
                ++loss.lost_after;
                first_after = first_after ? std::min(*first_after, at) : at;
                last_after = last_after ? std::max(*last_after, at) : at;
            }
        }
    }
    if (oldest_before) loss.rpo_seconds = seconds_between(*oldest_before, fault);
    if (first_after) loss.rpo_seconds = std::max(loss.rpo_seconds, seconds_between(*first_after, *last_after));
    return loss;
}

std::optional<MonoTime> find_first_failure(const LedgerContent& ledger, MonoTime fault,
                                           const std::string& primary) {
    std::optional<MonoTime> earliest;
    for (const LedgerEntry& entry : ledger.entries) {
        const LedgerPath& path = ledger.paths[entry.path];
        const bool counts = path.kind == PathKind::kClient || path.name == primary;
        if (!counts || entry.outcome == WriteOutcome::kOk || !entry.done || *entry.done < fault) continue;
        earliest = earliest ? std::min(*earliest, *entry.done) : *entry.done;
    }
    return earliest;
}

std::optional<std::uint64_t> find_write(const LedgerContent& ledger, MonoTime at) {
    for (const LedgerEntry& entry : ledger.entries)
        if (entry.done && *entry.done == at) return entry.id;
    return std::nullopt;
}

bool is_steady(const LedgerContent& ledger, MonoTime now, Duration span) {
    const std::vector<Outcome> outcomes = outcomes_after(ledger, PathKind::kClient, now - span);
    MonoTime previous = now - span;
    for (const Outcome& outcome : outcomes) {
        if (!outcome.is_ok || outcome.at - previous > kGap) return false;
        previous = outcome.at;
    }
    return !outcomes.empty() && now - previous <= kGap;
}

std::optional<bool> StoreScore::met() const {
    if (cut_short || !loss || loss->unexpected > 0 || loss->acknowledged == 0) return std::nullopt;
    // A fault that nobody felt proves nothing.
    if (faulted && !interrupted) return std::nullopt;
    // An outage that never ended is a miss, not an unknown.
    if (!rto_seconds || !client_rto_seconds) return false;
    return std::max(*rto_seconds, *client_rto_seconds) <= to_seconds(objectives.rto) &&
           loss->rpo_seconds <= to_seconds(objectives.rpo);
}

std::optional<double> Scorecard::overall_rto_seconds() const {
    std::optional<double> worst;
    for (const StoreScore& score : stores) {
        if (!score.faulted) continue;
        if (!score.rto_seconds || !score.client_rto_seconds) return std::nullopt;
        worst = std::max({worst.value_or(0), *score.rto_seconds, *score.client_rto_seconds});
    }
    return worst;
}

std::optional<double> Scorecard::overall_rpo_seconds() const {
    std::optional<double> worst;
    for (const StoreScore& score : stores) {
        if (!score.loss) return std::nullopt;
        worst = std::max(worst.value_or(0), score.loss->rpo_seconds);
    }
    return worst;
}

bool Scorecard::overall_met() const {
    const auto rto = overall_rto_seconds(), rpo = overall_rpo_seconds();
    return rto && rpo && *rto <= to_seconds(objectives.rto) && *rpo <= to_seconds(objectives.rpo);
}

Verdict Scorecard::verdict() const {
    bool unknown = stores.empty();
    for (const StoreScore& score : stores) {
        const std::optional<bool> met = score.met();
        if (met && !*met) return Verdict::kFail;
        unknown = unknown || !met;
    }
    if (unknown) return Verdict::kUnknown;
    return overall_met() ? Verdict::kPass : Verdict::kFail;
}

Json to_json(const Scorecard& scorecard) {
    Json json = {{"drill", scorecard.drill},
                 {"id", scorecard.drill_id},
                 {"seed", scorecard.seed},
                 {"fault", scorecard.fault},
                 {"assist", scorecard.assist},
                 {"started_at", format_time(scorecard.started_at)},
                 {"injected_at", format_time(scorecard.injected_at)},
                 {"verdict", verdict_name(scorecard.verdict())},
                 {"healed", scorecard.healed},
                 {"cut_short", std::any_of(scorecard.stores.begin(), scorecard.stores.end(),
                                           [](const StoreScore& score) { return score.cut_short; })},
                 {"overall",
                  {{"rto_seconds", json_or_null(scorecard.overall_rto_seconds())},
                   {"rpo_seconds", json_or_null(scorecard.overall_rpo_seconds())},
                   {"objective_rto_seconds", to_seconds(scorecard.objectives.rto)},
                   {"objective_rpo_seconds", to_seconds(scorecard.objectives.rpo)},
                   {"met", scorecard.overall_met()}}},
                 {"stores", Json::object()},
                 {"phases", Json::array()},
                 {"repeats", Json::array()},
                 {"post_mortem", scorecard.post_mortem}};
    for (const StoreScore& score : scorecard.stores) {
        json["stores"][score.store] = score_to_json(score);
        for (const Phase& phase : score.phases) {
            Json item = {{"name", phase.name}, {"store", phase.store}, {"at_seconds", phase.at_seconds}};
            if (phase.write) item["write"] = *phase.write;
            json["phases"].push_back(std::move(item));
        }
    }
    return json;
}

Json to_json(const std::vector<Scorecard>& repeats) {
    if (repeats.empty()) return Json::object();
    // The run with the worst verdict, then the longest outage, speaks for all of them.
    const auto worse = [](const Scorecard& a, const Scorecard& b) {
        const auto rank = [](const Scorecard& card) {
            const Verdict verdict = card.verdict();
            return verdict == Verdict::kFail ? 2 : verdict == Verdict::kUnknown ? 1 : 0;
        };
        if (rank(a) != rank(b)) return rank(a) < rank(b);
        return a.overall_rto_seconds().value_or(1e9) < b.overall_rto_seconds().value_or(1e9);
    };
    Json json = to_json(*std::max_element(repeats.begin(), repeats.end(), worse));
    if (repeats.size() == 1) return json;
    std::size_t passes = 0;
    for (const Scorecard& card : repeats) {
        passes += card.verdict() == Verdict::kPass ? 1 : 0;
        Json run = to_json(card);
        run.erase("repeats");
        json["repeats"].push_back(std::move(run));
    }
    json["summary"] = {{"runs", repeats.size()},
                       {"passes", passes},
                       {"pass_rate_at_least", pass_rate_lower_bound(passes, repeats.size(), 0.95)},
                       {"confidence", 0.95},
                       {"stores", summarise_stores(repeats)}};
    return json;
}

}  // namespace aeterna::engine
