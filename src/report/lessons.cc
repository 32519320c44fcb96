// What a drill's figures teach, by store: the longest phase, the client's extra time, the writes that were lost.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/time.h"
#include "report/assist_text.h"
#include "report/post_mortem.h"

namespace aeterna::report {
namespace {

using Phases = std::map<std::string, double>;

constexpr double kWorthATalk = 2;  // seconds

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

std::string duration(double seconds) { return format_duration(from_seconds(seconds)); }

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

void add_wait(std::vector<Lesson>& lessons, const std::string& store, const std::string& fault, const Phases& phases,
              double rto) {
    const auto promoted = phases.find("promoted");
    const auto detected = phases.find("detected");
    if (promoted == phases.end() || detected == phases.end() || rto <= 0) return;
    const double wait = promoted->second - detected->second;
    if (wait < kWorthATalk) return;
    const WaitCause cause = wait_cause(store, fault);
    lessons.push_back({fmt::format("{}: {} of the {} without writes passed between our detection ({} after the fault) "
                                   "and the promotion: {}.",
                                   store, duration(wait), duration(rto), duration(detected->second), cause.cause),
                       fmt::format("{}: {}", store, cause.action)});
}

// What the assist changed about the wait. True when that says all there is to say about it: no shorter ttl helps where
// nobody waited for it, and none where a refusal has to be understood first.
bool add_assist(std::vector<Lesson>& lessons, const std::string& store, const Json& score, const Phases& phases) {
    const Json* assist = find_member(score, "assist");
    if (assist == nullptr) return false;
    const std::string outcome = find_string(*assist, "outcome").value_or("");
    for (const std::string& line : assist_lines(*assist, "the fault")) {
        const bool is_refusal = line.rfind("the assist refused", 0) == 0;
        const bool is_fence = line.rfind("still held", 0) == 0;
        lessons.push_back({fmt::format("{}: {}.", store, line),
                           is_refusal ? fmt::format("{}: remove the reason of the refusal, or accept the wait.", store)
                           : is_fence ? fmt::format("{}: lift the fence: `aeterna-dr unfence`.", store)
                                      : std::string()});
    }
    if (outcome != "acted") return outcome == "refused" || outcome == "not_needed";
    const auto acted_at = find_number(*assist, "acted_at_seconds");
    const auto promoted = phases.find("promoted");
    if (acted_at && promoted != phases.end() && promoted->second - *acted_at >= kWorthATalk) {
        lessons.push_back({fmt::format("{}: after the assist had acted, the promotion took {} more.", store,
                                       duration(promoted->second - *acted_at)),
                           fmt::format("{}: find out what the candidate waited for; its log says so.", store)});
    }
    return true;
}

void add_client(std::vector<Lesson>& lessons, const std::string& store, double rto, double client_rto) {
    const double extra = client_rto - rto;
    if (extra < 1) return;
    lessons.push_back(
        {fmt::format("{}: clients waited {} longer than the nodes needed ({} against {}).", store, duration(extra),
                     duration(client_rto), duration(rto)),
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
                         store, after, duration(find_number(score, "rpo_seconds").value_or(0))),
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
        const bool is_explained = add_assist(lessons, store, score, phases);
        if (rto && !is_explained) add_wait(lessons, store, fault, phases, *rto);
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
