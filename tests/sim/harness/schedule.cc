#include "harness/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/time.h"
#include "harness/plots.h"
#include "harness/weighted.h"

namespace aeterna::sim {
namespace {

struct Weight {
    FaultKind kind;
    int weight;
    Duration shortest, longest;
};

constexpr std::array kWeights = {
    Weight{FaultKind::kKillNode, 24, 1s, 40s},        Weight{FaultKind::kKillPostgres, 8, 1s, 5s},
    Weight{FaultKind::kKillAgent, 8, 1s, 40s},        Weight{FaultKind::kPauseNode, 10, 500ms, 40s},
    Weight{FaultKind::kPausePostgres, 5, 500ms, 20s}, Weight{FaultKind::kPauseAgent, 5, 1s, 40s},
    Weight{FaultKind::kCutNode, 8, 1s, 40s},          Weight{FaultKind::kCutNodeOut, 4, 1s, 30s},
    Weight{FaultKind::kCutNodeIn, 4, 1s, 30s},        Weight{FaultKind::kSlowNode, 3, 1s, 20s},
    Weight{FaultKind::kFreezePostgres, 4, 1s, 40s},   Weight{FaultKind::kKillEtcd, 5, 1s, 20s},
    Weight{FaultKind::kJumpClock, 3, 1s, 2s},         Weight{FaultKind::kCutController, 4, 1s, 20s},
    Weight{FaultKind::kPauseController, 3, 1s, 30s},  Weight{FaultKind::kKillController, 4, 1s, 5s},
    Weight{FaultKind::kStopController, 3, 1s, 5s},
    Weight{FaultKind::kCutPath, 4, 1s, 30s},          Weight{FaultKind::kPauseCluster, 2, 2s, 30s},
    Weight{FaultKind::kMaintenance, 2, 5s, 40s},      Weight{FaultKind::kKillEtcdMajority, 2, 1s, 20s},
};

Fault draw_fault(Rng& rng, Duration from, Duration to) {
    const Weight& chosen = draw_weighted<Weight>(rng, kWeights);
    Fault fault;
    fault.kind = chosen.kind;
    fault.at = rng.between(from, to);
    fault.lasts = rng.between(chosen.shortest, chosen.longest);
    fault.target = rng.chance(0.7) ? Fault::kLeader : static_cast<int>(rng.below(3));
    return fault;
}

std::string target_name(int target) {
    switch (target) {
        case Fault::kLeader: return "leader";
        case Fault::kFirstOther: return "another";
        case Fault::kSecondOther: return "a third";
        case Fault::kSame: return "the same";
        default: return fmt::format("{}", target + 1);
    }
}

}  // namespace

std::string_view fault_name(FaultKind kind) {
    switch (kind) {
        case FaultKind::kKillNode: return "kill node";
        case FaultKind::kKillPostgres: return "kill postgres";
        case FaultKind::kKillAgent: return "kill agent";
        case FaultKind::kPauseNode: return "pause node";
        case FaultKind::kPausePostgres: return "pause postgres";
        case FaultKind::kPauseAgent: return "pause agent";
        case FaultKind::kCutNode: return "cut node off";
        case FaultKind::kCutNodeOut: return "cut node's sending";
        case FaultKind::kCutNodeIn: return "cut node's receiving";
        case FaultKind::kCutPath: return "cut node off from controllers";
        case FaultKind::kBreakAgent: return "break agent";
        case FaultKind::kSpoilConfig: return "spoil the configuration";
        case FaultKind::kHideLeases: return "hide the leases' time";
        case FaultKind::kDropLock: return "drop the actor lock";
        case FaultKind::kLosePidFiles: return "lose pid files";
        case FaultKind::kStartByForce: return "start agent by force";
        case FaultKind::kPauseCluster: return "pause cluster";
        case FaultKind::kAskFailover: return "ask for a failover";
        case FaultKind::kWrongSyncKey: return "leave another's sync key";
        case FaultKind::kMaintenance: return "maintenance";
        case FaultKind::kKillEtcdMajority: return "kill etcd but one";
        case FaultKind::kSlowNode: return "slow node";
        case FaultKind::kFreezePostgres: return "freeze postgres";
        case FaultKind::kKillEtcd: return "kill etcd";
        case FaultKind::kJumpClock: return "jump the controller's clock";
        case FaultKind::kCutController: return "cut controller off";
        case FaultKind::kPauseController: return "pause controller";
        case FaultKind::kKillController: return "kill controller";
        case FaultKind::kStopController: return "stop controller";
    }
    return "?";
}

Schedule make_schedule(std::uint64_t seed) {
    // One draw of the seed's own stream: streams of neighbours must not be each other's, moved by a number.
    Rng rng = Rng(seed).fork();
    Schedule schedule;
    schedule.seed = seed;
    schedule.patroni.version = rng.chance(0.5) ? 3 : 4;
    schedule.patroni.synchronous_mode = rng.chance(0.5);
    if (rng.chance(0.5)) {
        schedule.patroni.ttl = 20s;
        schedule.patroni.loop_wait = rng.chance(0.5) ? 1s : 5s;
        schedule.patroni.retry_timeout = 5s;
    }
    if (rng.chance(0.15)) schedule.nofailover = static_cast<int>(rng.below(3));
    schedule.patroni.is_paused = rng.chance(0.04);
    schedule.controllers = rng.chance(0.15) ? 2 : 1;
    if (rng.chance(0.35)) {
        schedule.crash_at_write = 1 + static_cast<int>(rng.below(90));  // a failover has some seventy
        schedule.crash_is_durable = rng.chance(0.5);
        schedule.restart_after = rng.between(200ms, 8s);
    }
    if (rng.chance(0.2)) schedule.supervisor_delay = rng.between(100ms, 5s);
    if (rng.chance(0.1)) {
        schedule.stall_at_write = 1 + static_cast<int>(rng.below(24));
        schedule.stall_for = rng.between(3s, 40s);
    }
    const std::uint64_t assist = rng.below(10);
    schedule.assist = assist < 7 ? "act" : assist < 8 ? "propose" : "off";
    const bool has_plot = rng.chance(0.5);
    if (has_plot) {
        if (assist < 9) schedule.assist = "act";
        draw_plot(rng, schedule);
    }
    const std::uint64_t count = has_plot ? rng.below(2) : 1 + rng.below(3);
    Duration from = has_plot ? 20s : Duration(3s), to = has_plot ? 40s : Duration(8s);
    for (std::uint64_t i = 0; i < count; ++i) {
        schedule.faults.push_back(draw_fault(rng, from, to));
        to += 12s;
    }
    std::stable_sort(schedule.faults.begin(), schedule.faults.end(),
                     [](const Fault& a, const Fault& b) { return a.at < b.at; });
    return schedule;
}

std::string Schedule::describe() const {
    std::string text = fmt::format(
        "seed {}: Patroni {} ttl {} loop_wait {} {}{}{}, {} controller{}{}", seed,
        patroni.version >= 4 ? "4.1" : "3.0.2", format_duration(patroni.ttl),
        format_duration(patroni.loop_wait),
        patroni.synchronous_mode ? "synchronous" : "asynchronous",
        patroni.is_paused ? " paused" : "",
        nofailover >= 0 ? fmt::format(" nofailover postgres-{}", nofailover + 1) : "", controllers,
        controllers > 1 ? "s" : "", assist.empty() ? "" : ", assist " + assist);
    if (!plot.empty()) text += ", plot: " + plot;
    if (supervisor_delay > Duration()) text += ", supervised";
    if (stall_at_write > 0)
        text += fmt::format(", stopped for {} after journal write {}", format_duration(stall_for), stall_at_write);
    if (slow_marker > Duration()) text += fmt::format(", marker {} takes {}", slow_marker_number, format_duration(slow_marker));
    if (crash_at_write > 0) {
        text += fmt::format(", crash {} journal write {}", crash_is_durable ? "after" : "at",
                            crash_at_write);
    }
    for (const Fault& fault : faults) {
        text += fmt::format("\n  at {:.3f} s: {} ({}) for {:.3f} s", to_seconds(fault.at),
                            fault_name(fault.kind),
                            target_name(fault.target),
                            to_seconds(fault.lasts));
    }
    return text;
}

}  // namespace aeterna::sim
