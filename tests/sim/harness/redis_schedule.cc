#include "harness/redis_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/redis_plots.h"
#include "harness/weighted.h"

namespace aeterna::sim {
namespace {

struct RedisWeight {
    RedisFaultKind kind;
    int weight;
    Duration shortest, longest;
};

constexpr std::array kRedisWeights = {
    RedisWeight{RedisFaultKind::kKill, 30, 1s, 60s},           RedisWeight{RedisFaultKind::kPause, 14, 500ms, 50s},
    RedisWeight{RedisFaultKind::kFreeze, 4, 1s, 40s},          RedisWeight{RedisFaultKind::kCut, 8, 1s, 50s},
    RedisWeight{RedisFaultKind::kCutOut, 4, 1s, 40s},          RedisWeight{RedisFaultKind::kCutIn, 4, 1s, 40s},
    RedisWeight{RedisFaultKind::kCutPath, 4, 1s, 30s},         RedisWeight{RedisFaultKind::kSlow, 3, 1s, 20s},
    RedisWeight{RedisFaultKind::kKillSentinel, 5, 1s, 40s},    RedisWeight{RedisFaultKind::kPauseSentinel, 4, 1s, 40s},
    RedisWeight{RedisFaultKind::kKillSentinels, 4, 5s, 60s},   RedisWeight{RedisFaultKind::kKillEtcd, 3, 1s, 20s},
    RedisWeight{RedisFaultKind::kJumpClock, 3, 1s, 2s},        RedisWeight{RedisFaultKind::kCutController, 4, 1s, 20s},
    RedisWeight{RedisFaultKind::kPauseController, 3, 1s, 30s}, RedisWeight{RedisFaultKind::kKillController, 4, 1s, 5s},
    RedisWeight{RedisFaultKind::kStopController, 3, 1s, 5s},
};

RedisFault draw_redis_fault(Rng& rng, Duration from, Duration to) {
    const RedisWeight& chosen = draw_weighted<RedisWeight>(rng, kRedisWeights);
    RedisFault fault;
    fault.kind = chosen.kind;
    fault.at = rng.between(from, to);
    fault.lasts = rng.between(chosen.shortest, chosen.longest);
    fault.target = rng.chance(0.75) ? RedisFault::kMaster : static_cast<int>(rng.below(3));
    return fault;
}

}  // namespace

std::string_view fault_name(RedisFaultKind kind) {
    switch (kind) {
        case RedisFaultKind::kKill: return "kill";
        case RedisFaultKind::kPause: return "pause";
        case RedisFaultKind::kFreeze: return "freeze";
        case RedisFaultKind::kCut: return "cut off";
        case RedisFaultKind::kCutOut: return "cut its sending";
        case RedisFaultKind::kCutIn: return "cut its receiving";
        case RedisFaultKind::kCutPath: return "cut off from controllers";
        case RedisFaultKind::kSlow: return "slow";
        case RedisFaultKind::kKillSentinel: return "kill sentinel";
        case RedisFaultKind::kPauseSentinel: return "pause sentinel";
        case RedisFaultKind::kKillEtcd: return "kill etcd";
        case RedisFaultKind::kKillSentinels: return "kill sentinels but one";
        case RedisFaultKind::kPauseSentinels: return "pause sentinels but one";
        case RedisFaultKind::kCutFromServers: return "cut off from servers";
        case RedisFaultKind::kPromoteByHand: return "promoted by a person";
        case RedisFaultKind::kHalfFailover: return "fail over to one that dies";
        case RedisFaultKind::kMisleadSentinel: return "mislead sentinel";
        case RedisFaultKind::kForgetSecond: return "promoted, and forgotten";
        case RedisFaultKind::kForgetMaster: return "replaced, and forgotten";
        case RedisFaultKind::kKillActingSentinel: return "kill the sentinel that promotes";
        case RedisFaultKind::kJumpClock: return "jump the controller's clock";
        case RedisFaultKind::kCutController: return "cut controller off";
        case RedisFaultKind::kPauseController: return "pause controller";
        case RedisFaultKind::kPauseOrdering: return "pause controller before an order";
        case RedisFaultKind::kKillPromoting: return "kill controller after its order to promote";
        case RedisFaultKind::kKillController: return "kill controller";
        case RedisFaultKind::kStopController: return "stop controller";
    }
    return "?";
}

RedisSchedule make_redis_schedule(std::uint64_t seed) {
    // Another stream than the PostgreSQL schedule of that seed has.
    Rng rng = Rng(seed ^ 0x5ed15).fork();
    RedisSchedule schedule;
    schedule.seed = seed;
    schedule.is_persistent = rng.chance(0.7);
    schedule.crew.controllers = rng.chance(0.15) ? 2 : 1;
    if (rng.chance(0.3)) {
        schedule.crew.crash.at_write = 1 + static_cast<int>(rng.below(60));
        schedule.crew.crash.is_durable = rng.chance(0.5);
        schedule.crew.restart_after = rng.between(200ms, 8s);
    }
    if (rng.chance(0.1)) {
        schedule.crew.crash.stall_at_write = 1 + static_cast<int>(rng.below(24));
        schedule.crew.crash.stall_for = rng.between(3s, 40s);
    }
    if (rng.chance(0.25)) schedule.supervisor_delay = rng.between(100ms, 10s);
    if (rng.chance(0.1)) schedule.unfenceable = static_cast<int>(rng.below(3));
    const std::uint64_t assist = rng.below(10);
    schedule.crew.assist = assist < 7 ? "act" : assist < 8 ? "propose" : "off";
    const bool has_plot = rng.chance(0.5);
    if (has_plot) {
        if (assist < 9) schedule.crew.assist = "act";
        draw_redis_plot(rng, schedule);
    }
    // What else happens, happens when the plot is over.
    Duration from = 3s, to = 8s;
    if (has_plot) {
        for (const RedisFault& fault : schedule.faults) from = std::max(from, fault.at + 9s);
        to = from + 20s;
    }
    const std::uint64_t count = has_plot ? rng.below(2) : 1 + rng.below(3);
    for (std::uint64_t i = 0; i < count; ++i) {
        schedule.faults.push_back(draw_redis_fault(rng, from, to));
        to += 15s;
    }
    std::stable_sort(schedule.faults.begin(), schedule.faults.end(),
                     [](const RedisFault& a, const RedisFault& b) { return a.at < b.at; });
    return schedule;
}

std::string RedisSchedule::describe() const {
    std::string text = fmt::format("seed {}: Redis {}, {} controller{}, assist {}{}{}", seed,
                                   is_persistent ? "with AOF" : "without persistence", crew.controllers,
                                   crew.controllers > 1 ? "s" : "", crew.assist, plot.empty() ? "" : ", plot: " + plot,
                                   supervisor_delay > Duration() ? ", supervised" : "");
    if (save_period > Duration()) text += ", saved each " + format_duration(save_period);
    if (has_stubborn_client) text += ", with a client that knows only redis-1";
    if (is_saved_at_kill) text += ", saved when it is killed";
    if (unfenceable >= 0) text += fmt::format(", redis-{} cannot be fenced", unfenceable + 1);
    if (crew.crash.stall_at_write > 0)
        text += fmt::format(", stopped for {} after journal write {}", format_duration(crew.crash.stall_for),
                            crew.crash.stall_at_write);
    if (crew.slow_marker > Duration()) text += ", its marker takes " + format_duration(crew.slow_marker);
    if (crew.crash.at_write > 0)
        text +=
            fmt::format(", crash {} journal write {}", crew.crash.is_durable ? "after" : "before", crew.crash.at_write);
    for (const RedisFault& fault : faults) {
        text += fmt::format("\n  {:.3f} s: {} ({}) for {:.3f} s", to_seconds(fault.at), fault_name(fault.kind),
                            fault.target < 0 ? "master" : std::to_string(fault.target + 1), to_seconds(fault.lasts));
    }
    return text;
}

}  // namespace aeterna::sim
