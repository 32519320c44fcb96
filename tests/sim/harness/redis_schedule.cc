#include "harness/redis_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

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

// What belongs together and seldom comes about by chance.
void draw_redis_plot(Rng& rng, RedisSchedule& schedule) {
    const Duration at = rng.between(4s, 8s);
    const auto master = RedisFault::kMaster;
    switch (rng.below(6)) {
        case 0:  // a master without persistence is started again before anybody calls it down
            schedule.plot = "empty master";
            schedule.is_persistent = false;
            schedule.supervisor_delay = rng.between(200ms, 3s);
            schedule.faults = {{at, RedisFaultKind::kKill, master, 1s}};
            return;
        case 1:
            schedule.plot = "unfenceable";
            schedule.unfenceable = 0;
            schedule.faults = {
                {at, rng.chance(0.6) ? RedisFaultKind::kKill : RedisFaultKind::kPause, master, rng.between(6s, 40s)}};
            return;
        case 2:
            schedule.plot = "sentinels lost";
            schedule.faults = {
                {at, RedisFaultKind::kKillSentinels, 1 + static_cast<int>(rng.below(2)), rng.between(20s, 60s)},
                {at + rng.between(1s, 6s), RedisFaultKind::kKill, master, rng.between(5s, 40s)}};
            return;
        case 3:
            schedule.plot = "unheard by us";
            schedule.faults = {{at, RedisFaultKind::kCutPath, master, rng.between(8s, 40s)}};
            return;
        case 4:
            schedule.plot = "short stall";
            schedule.faults = {{at, RedisFaultKind::kPause, master, rng.between(500ms, 4800ms)}};
            return;
        default:
            schedule.plot = "frozen";
            schedule.faults = {{at, RedisFaultKind::kFreeze, master, rng.between(8s, 40s)}};
            return;
    }
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
        case RedisFaultKind::kJumpClock: return "jump the controller's clock";
        case RedisFaultKind::kCutController: return "cut controller off";
        case RedisFaultKind::kPauseController: return "pause controller";
        case RedisFaultKind::kKillController: return "kill controller";
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
        schedule.crew.crash.at_write = 1 + static_cast<int>(rng.below(30));
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
    const std::uint64_t count = has_plot ? rng.below(2) : 1 + rng.below(3);
    Duration from = has_plot ? 20s : Duration(3s), to = has_plot ? 40s : Duration(8s);
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
    if (unfenceable >= 0) text += fmt::format(", redis-{} cannot be fenced", unfenceable + 1);
    if (crew.crash.stall_at_write > 0)
        text += fmt::format(", stopped for {} after journal write {}", format_duration(crew.crash.stall_for),
                            crew.crash.stall_at_write);
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
