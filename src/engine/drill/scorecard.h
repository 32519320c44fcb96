// Scorecard: what a drill measured, computed from the ledger, the read-back and the watcher's events. Pure.
//
// rto_seconds: from the injection to the first acknowledged write of the first unbroken 5 s, straight to the nodes;
// client_rto_seconds: the same on the client's path. Unbroken: no two neighbouring acknowledgements further apart than
// kGap, and on the client's path no failed or unknown write in between (straight to the nodes a replica's refusal is
// normal). rpo_seconds: the longer of (fault - oldest lost acknowledgement before it) and (last - first lost
// acknowledgement after it). An unknown write is never counted as lost.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/drill/assist_score.h"
#include "engine/drill/ledger.h"

namespace aeterna::engine {

constexpr Duration kStableFor = std::chrono::seconds(5);
constexpr Duration kGap = std::chrono::milliseconds(500);

enum class Verdict { kPass, kFail, kUnknown };
[[nodiscard]] std::string_view verdict_name(Verdict verdict);  // pass fail unknown

struct StableSpan {
    MonoTime first;   // first acknowledged write of the span
    MonoTime stable;  // the acknowledgement that completed it
};

// The first unbroken span after `fault` on the paths of `kind`; nothing while there is none.
[[nodiscard]] std::optional<StableSpan> find_stable_span(const LedgerContent& ledger, PathKind kind, MonoTime fault);

struct Loss {
    std::uint64_t acknowledged = 0;
    std::uint64_t unknown = 0;                       // outcome never learnt
    std::uint64_t unknown_present = 0;               // … of which the store has
    std::uint64_t unexpected = 0;                    // refused, yet present: the ledger or the store is wrong
    std::vector<std::uint64_t> lost;                 // acknowledged and absent
    std::optional<std::vector<std::uint64_t>> kept;  // of those, what the repository still has; nothing: not known
    std::uint64_t lost_before = 0;                   // … acknowledged before the fault
    std::uint64_t lost_after = 0;
    double rpo_seconds = 0;
};
// `present` must be sorted.
[[nodiscard]] Loss compute_loss(const LedgerContent& ledger, const std::vector<std::uint64_t>& present,
                                MonoTime fault);

// The instant of the first write that failed or stayed unknown after the fault, on the client's path or straight to
// `primary`.
[[nodiscard]] std::optional<MonoTime> find_first_failure(const LedgerContent& ledger, MonoTime fault,
                                                         const std::string& primary);
// The write whose outcome became known at `at`; nothing when there is none.
[[nodiscard]] std::optional<std::uint64_t> find_write(const LedgerContent& ledger, MonoTime at);
// Whether every client path was acknowledged without a failure during the last `span` before `now`.
[[nodiscard]] bool is_steady(const LedgerContent& ledger, MonoTime now, Duration span);

struct Phase {
    std::string name;  // injected first_failure detected assisted promoted first_success stable redundancy_restored
    std::string store;
    double at_seconds = 0;  // after the injection
    std::optional<std::uint64_t> write = {};  // the ledger's entry that shows it
};

struct StoreScore {
    std::string store;
    std::string server = "real";
    bool faulted = false;
    bool interrupted = true;  // some write failed after the fault; else the fault hit nothing that mattered
    bool cut_short = false;   // the drill died before its end: no figure of it may pass or fail
    WallTime injected_at{};   // this store's fault; every phase counts from here
    std::string primary;      // hit by the fault
    std::string new_primary;  // afterwards
    config::Objectives objectives;
    std::optional<double> rto_seconds;
    std::optional<double> client_rto_seconds;
    std::optional<double> detect_seconds;
    std::optional<Loss> loss;  // nothing when it could not be read back
    std::optional<AssistScore> assist;  // nothing when no failover of ours ran, or none that knows the assist
    std::vector<Phase> phases;
    std::uint64_t missed_slots = 0;
    std::vector<std::string> notes;  // what could not be measured, and why
    [[nodiscard]] std::optional<bool> met() const;  // nothing = unknown
};

struct Scorecard {
    std::string drill_id;
    std::string drill = "q1";
    std::uint64_t seed = 0;
    std::string fault = "kill";
    std::string assist = "off";
    WallTime started_at{};
    WallTime injected_at{};  // the first store's fault
    config::Objectives objectives;  // overall
    std::vector<StoreScore> stores;
    std::string post_mortem;  // path
    bool healed = false;
    [[nodiscard]] Verdict verdict() const;
    [[nodiscard]] std::optional<double> overall_rto_seconds() const;  // the worst faulted store's larger figure
    [[nodiscard]] std::optional<double> overall_rpo_seconds() const;
    [[nodiscard]] bool overall_met() const;
};

// The contract's members; see docs/cli.md.
[[nodiscard]] Json to_json(const Scorecard& scorecard);
// Several runs as one document: the worst figures on top, each run under "repeats", medians under "summary".
[[nodiscard]] Json to_json(const std::vector<Scorecard>& repeats);

}  // namespace aeterna::engine
