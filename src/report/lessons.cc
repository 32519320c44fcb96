// What a drill's figures teach, by store: what each part of the outage cost, what made the long ones long, the client's
// extra time, the writes that were lost.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/time.h"
#include "report/assist_text.h"
#include "report/post_mortem.h"

namespace aeterna::report {
namespace {

using Phases = std::map<std::string, double>;

constexpr double kWorthATalk = 2;  // seconds
// A stall of up to 5 s is never called a death: only what goes beyond is slow.
constexpr double kSlowDetection = 5;

Phases phases_of(const Json& scorecard, const std::string& store) {
    Phases phases;
    const Json* list = find_member(scorecard, "phases");
    if (list == nullptr || !list->is_array()) return phases;
    for (const Json& phase : *list) {
        if (find_string(phase, "store") != store) continue;
        phases[find_string(phase, "name").value_or("")] = find_number(phase, "at_seconds").value_or(0);
    }
    return phases;
}

// The outage cut where one thing ended and the next began; their sum is the RTO. What the watcher saw late, or did not
// see, takes nothing: its time belongs to the part that was going on.
struct Cuts {
    double detection = 0;
    double proof = 0;      // until the assist acted
    double wait = 0;       // until the promotion
    double first = 0;      // from the promotion to the first write
    double unbroken = 0;   // from the first write to the first of an unbroken row
    bool is_detected = false;
    bool has_proof = false;
};

Cuts cut(Phases phases, const std::optional<double>& acted_at, double rto) {
    Cuts cuts;
    double at = 0;
    if (acted_at) phases["assisted"] = *acted_at;
    const auto take = [&](const char* phase, double& part) {
        const auto found = phases.find(phase);
        if (found == phases.end()) return false;
        const double until = std::clamp(found->second, at, rto);
        part = until - at;
        at = until;
        return true;
    };
    const auto detected = phases.find("detected"), promoted = phases.find("promoted");
    const bool is_in_time = detected != phases.end() &&
                            (promoted == phases.end() || detected->second <= promoted->second);
    cuts.is_detected = is_in_time && take("detected", cuts.detection);
    cuts.has_proof = acted_at && take("assisted", cuts.proof);
    if (take("promoted", cuts.wait)) take("first_success", cuts.first);
    cuts.unbroken = rto - at;
    return cuts;
}

void add_split(std::vector<Lesson>& lessons, const std::string& store, const Phases& phases, const Cuts& cuts, double rto) {
    std::string text = fmt::format("{}: {} without writes", store, format_duration(rto));
    const char* joint = " = ";
    const auto add = [&](double seconds, const char* what) {
        text += fmt::format("{}{} {}", joint, seconds < 0.0005 ? "0 s" : format_duration(seconds), what);
        joint = " + ";
    };
    const bool is_promoted = phases.contains("promoted");
    if (cuts.is_detected) add(cuts.detection, "detection");
    if (cuts.has_proof) add(cuts.proof, "proof and fence");
    if (is_promoted) add(cuts.wait, cuts.has_proof ? "promotion after the assist" : "wait for a promotion");
    if (is_promoted) add(cuts.first, "to the first write");
    add(cuts.unbroken, is_promoted ? "until writes stayed unbroken" : "until writes stayed unbroken (no promotion was seen)");
    lessons.push_back({text + ".", ""});
}

// What the wait between death and promotion is made of, and what shortens it.
struct WaitCause {
    const char* cause;
    const char* action;
};

WaitCause wait_cause(const std::string& store, const std::string& fault) {
    if (store == "postgres" && fault == "kill") {
        return {"Patroni's leader lease (ttl) had to expire: nobody could know that the holder was dead",
                "Let a proven and fenced death end the lease early (assist: act), or lower Patroni's ttl (20 s is the "
                "least since 3.2) after checking that the network is calm enough for it."};
    }
    if (store == "postgres") {
        return {"the paused primary held Patroni's leader lease (ttl) until it expired",
                "A silent primary can only be waited for or fenced: arm a watchdog, or let a fence end the wait."};
    }
    if (store == "redis") {
        return {"Sentinel's down-after-milliseconds had to pass before it calls the master down",
                "Let a proven and fenced death force the failover (assist: act), or lower down-after-milliseconds (5 "
                "to 10 s is common)."};
    }
    return {"the store waited before it acted", "Find out which time-out it waited for."};
}

// A refusal has to be understood before a shorter time-out is worth a thought: then the cost alone is told.
void add_wait(std::vector<Lesson>& lessons, const std::string& store, const std::string& fault, const Phases& phases,
              const Cuts& cuts, double rto, bool is_refused) {
    if (!phases.contains("promoted") || cuts.wait < kWorthATalk) return;
    const WaitCause cause = wait_cause(store, fault);
    const std::string since =
        cuts.is_detected ? fmt::format("between our detection ({} after the fault) and the promotion", format_duration(cuts.detection))
                         : std::string("before the promotion");
    lessons.push_back({fmt::format("{}: {} of the {} without writes passed {}: {}.", store, format_duration(cuts.wait),
                                   format_duration(rto), since, cause.cause),
                       is_refused ? "" : fmt::format("{}: {}", store, cause.action)});
}

void add_slow_parts(std::vector<Lesson>& lessons, const std::string& store, const Cuts& cuts, bool is_promoted) {
    if (cuts.detection >= kSlowDetection) {
        lessons.push_back({fmt::format("{}: the detection alone took {}.", store, format_duration(cuts.detection)),
                           fmt::format("{}: `aeterna-dr incident show` names which vantage spoke late.", store)});
    }
    if (is_promoted && cuts.first >= kWorthATalk) {
        lessons.push_back({fmt::format("{}: {} passed between the promotion and the first write.", store, format_duration(cuts.first)),
                           fmt::format("{}: the new primary's log and the errors in the ledger say what refused writes.",
                                       store)});
    }
    if (is_promoted && cuts.unbroken >= kWorthATalk) {
        lessons.push_back({fmt::format("{}: after the first write, {} more passed until writes stayed unbroken.", store,
                                       format_duration(cuts.unbroken)),
                           fmt::format("{}: the ledger names the writes that failed in between, and their errors.", store)});
    }
}

// What the assist changed about the wait.
void add_assist(std::vector<Lesson>& lessons, const std::string& store, const Json& score, const Phases& phases) {
    const Json* assist = find_member(score, "assist");
    if (assist == nullptr) return;
    for (const std::string& line : assist_lines(*assist, "the fault")) {
        const bool is_refusal = line.rfind("the assist refused", 0) == 0;
        const bool is_proposal = line.rfind("the assist proposed", 0) == 0;
        const bool is_fence = line.rfind("still held", 0) == 0;
        lessons.push_back({fmt::format("{}: {}.", store, line),
                           is_refusal ? fmt::format("{}: remove the reason of the refusal, or accept the wait.", store)
                           : is_proposal ? fmt::format("{0}: say yes to a proposal (`aeterna-dr failover {0}`), or let it act "
                                                       "(assist: act).", store)
                           : is_fence ? fmt::format("{}: lift the fence: `aeterna-dr unfence`.", store)
                                      : std::string()});
    }
    if (find_string(*assist, "outcome") != "acted") return;
    const auto acted_at = find_number(*assist, "acted_at_seconds");
    const auto promoted = phases.find("promoted");
    if (acted_at && promoted != phases.end() && promoted->second - *acted_at >= kWorthATalk) {
        lessons.push_back({fmt::format("{}: after the assist had acted, the promotion took {} more.", store,
                                       format_duration(promoted->second - *acted_at)),
                           fmt::format("{}: find out what the candidate waited for; its log says so.", store)});
    }
}

std::string assist_outcome(const Json& score) {
    const Json* assist = find_member(score, "assist");
    return assist == nullptr ? "" : find_string(*assist, "outcome").value_or("");
}

// Where the outage of one faulted store went.
void add_outage(std::vector<Lesson>& lessons, const std::string& store, const Json& score, const std::string& fault,
                const Phases& phases) {
    const auto rto = find_number(score, "rto_seconds");
    const std::string outcome = assist_outcome(score);
    const bool is_faulted = find_boolean(score, "faulted").value_or(false);
    const Json* assist = find_member(score, "assist");
    const auto acted_at = outcome == "acted" ? find_number(*assist, "acted_at_seconds") : std::nullopt;
    const Cuts cuts = rto ? cut(phases, acted_at, *rto) : Cuts{};
    const bool is_told = rto && *rto > 0 && is_faulted;
    if (is_told) add_split(lessons, store, phases, cuts, *rto);
    add_assist(lessons, store, score, phases);
    if (!is_told) return;
    if (outcome != "acted") add_wait(lessons, store, fault, phases, cuts, *rto, outcome == "refused" || outcome == "proposed");
    add_slow_parts(lessons, store, cuts, phases.contains("promoted"));
}

void add_client(std::vector<Lesson>& lessons, const std::string& store, double rto, double client_rto) {
    const double extra = client_rto - rto;
    if (extra < 1) return;
    lessons.push_back(
        {fmt::format("{}: clients waited {} longer than the nodes needed ({} against {}).", store, format_duration(extra),
                     format_duration(client_rto), format_duration(rto)),
         store == "postgres"
             ? "postgres: shorten HAProxy's checks (inter 3 s, rise 2 cost up to 6 s), or let clients list all nodes "
               "with target_session_attrs=read-write."
             : fmt::format("{}: make clients re-discover at once on a refused or read-only write.", store)});
}

void add_loss(std::vector<Lesson>& lessons, const std::string& store, const Json& score) {
    const auto before = find_integer(score, "lost_before_fault").value_or(0);
    const auto after = find_integer(score, "lost_after_fault").value_or(0);
    if (before > 0) {
        lessons.push_back(
            {fmt::format("{}: {} writes were acknowledged before the fault and are lost: replication is asynchronous.",
                         store, before),
             store == "postgres"
                 ? "postgres: use synchronous_mode where no acknowledged write may be lost."
                 : fmt::format("{}: let clients WAIT for a replica where no acknowledged write may be lost.", store)});
    }
    if (after > 0) {
        lessons.push_back(
            {fmt::format("{}: {} writes were acknowledged after the fault and are lost, over {}: the returned old "
                         "primary took writes until it was demoted.",
                         store, after, format_duration(find_number(score, "rpo_seconds").value_or(0))),
             store == "redis"
                 ? "redis: set min-replicas-to-write 1 and a small min-replicas-max-lag, or guard the return of the "
                   "old master."
                 : fmt::format("{}: keep a returned primary from taking writes before it has rejoined.", store)});
    }
}

}  // namespace

std::vector<Lesson> lessons_of(const Json& scorecard) {
    std::vector<Lesson> lessons;
    const Json* stores = find_member(scorecard, "stores");
    if (stores == nullptr || !stores->is_object()) return lessons;
    const std::string fault = find_string(scorecard, "fault").value_or("");
    for (const auto& [store, score] : stores->items()) {
        const Phases phases = phases_of(scorecard, store);
        const auto rto = find_number(score, "rto_seconds"), client = find_number(score, "client_rto_seconds");
        add_outage(lessons, store, score, fault, phases);
        if (rto && client) add_client(lessons, store, *rto, *client);
        add_loss(lessons, store, score);
        if (find_boolean(score, "faulted").value_or(false) && !find_number(score, "detect_seconds")) {
            lessons.push_back({fmt::format("{}: the watcher did not report the fault as critical.", store),
                               fmt::format("{}: find out why detection failed; look at `incident list`.", store)});
        }
    }
    return lessons;
}

}  // namespace aeterna::report
