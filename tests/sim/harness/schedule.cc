#include "harness/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/time.h"

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
    Weight{FaultKind::kPauseController, 3, 1s, 10s},  Weight{FaultKind::kKillController, 4, 1s, 5s},
};

Fault draw_fault(Rng& rng, Duration from, Duration to) {
    int total = 0;
    for (const Weight& weight : kWeights) total += weight.weight;
    int drawn = static_cast<int>(rng.below(static_cast<std::uint64_t>(total)));
    const Weight* chosen = kWeights.data();
    for (const Weight& weight : kWeights) {
        chosen = &weight;
        if ((drawn -= weight.weight) < 0) break;
    }
    Fault fault;
    fault.kind = chosen->kind;
    fault.at = rng.between(from, to);
    fault.lasts = rng.between(chosen->shortest, chosen->longest);
    fault.target = rng.chance(0.7) ? -1 : static_cast<int>(rng.below(3));
    return fault;
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
        case FaultKind::kSlowNode: return "slow node";
        case FaultKind::kFreezePostgres: return "freeze postgres";
        case FaultKind::kKillEtcd: return "kill etcd";
        case FaultKind::kJumpClock: return "jump the controller's clock";
        case FaultKind::kCutController: return "cut controller off";
        case FaultKind::kPauseController: return "pause controller";
        case FaultKind::kKillController: return "kill controller";
    }
    return "?";
}

Schedule make_schedule(std::uint64_t seed) {
    Rng rng(seed * 0x9e3779b97f4a7c15ULL + 0x632be59bd9b4e019ULL);
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
        schedule.crash_at_write = 1 + static_cast<int>(rng.below(30));
        schedule.crash_is_durable = rng.chance(0.5);
        schedule.restart_after = rng.between(200ms, 8s);
    }
    const std::uint64_t count = 1 + rng.below(3);
    Duration from = 3s, to = 8s;
    for (std::uint64_t i = 0; i < count; ++i) {
        schedule.faults.push_back(draw_fault(rng, from, to));
        to += 12s;
    }
    const std::uint64_t assist = rng.below(10);
    schedule.assist = assist < 7 ? "act" : assist < 8 ? "propose" : "off";
    std::sort(schedule.faults.begin(), schedule.faults.end(),
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
    if (crash_at_write > 0) {
        text += fmt::format(", crash {} journal write {}", crash_is_durable ? "after" : "at",
                            crash_at_write);
    }
    for (const Fault& fault : faults) {
        text += fmt::format("\n  at {:.3f} s: {} ({}) for {:.3f} s", to_seconds(fault.at),
                            fault_name(fault.kind),
                            fault.target < 0 ? "leader" : fmt::format("{}", fault.target + 1),
                            to_seconds(fault.lasts));
    }
    return text;
}

}  // namespace aeterna::sim
