// RedisSchedule: all that one run with Redis and Sentinel does, drawn from its seed; see schedule.h. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "env/sim/rng.h"
#include "harness/crew.h"

namespace aeterna::sim {

enum class RedisFaultKind {
    // Of one host.
    kKill,  // started again when it ends, unless a marker inhibits it
    kPause,
    kFreeze,  // uninterruptible sleep: SIGKILL does not take
    kCut,     // the host from everybody, both ways
    kCutOut,
    kCutIn,
    kCutPath,         // the host from the controllers only
    kCutFromServers,  // the host from the other two only
    kSlow,
    kKillSentinel,
    kPauseSentinel,
    kKillEtcd,
    kPromoteByHand,  // REPLICAOF NO ONE, by a person
    kHalfFailover,   // a person orders it of that Sentinel; whom it promotes dies at once, and is back at the end
    kMisleadSentinel,  // a person tells the host's Sentinel that the server of the next host is master
    kForgetSecond,     // the host's server is promoted by a person, who tells the Sentinels anew of the present master
    kForgetMaster,     // and of the promoted one, whom the third one follows
    // Of all.
    kKillSentinels,   // all but the target's
    kPauseSentinels,  // all but the target's
    kKillActingSentinel,  // the first that a controller orders to fail over, once it has promoted
    // Of the first controller.
    kJumpClock,
    kCutController,
    kPauseController,
    kPauseOrdering,  // when it begins its next order
    kKillPromoting,  // right after its next order to promote
    kKillController,
    kStopController,  // asked to end, as by systemd
};
inline constexpr RedisFaultKind kLastRedisFault = RedisFaultKind::kStopController;
[[nodiscard]] std::string_view fault_name(RedisFaultKind kind);

struct RedisFault {
    static constexpr int kMaster = -1;  // whoever it is then, or was last
    Duration at{};
    RedisFaultKind kind = RedisFaultKind::kKill;
    int target = kMaster;
    Duration lasts{};
};

struct RedisSchedule {
    std::uint64_t seed = 0;
    std::string plot;
    bool is_persistent = true;
    int unfenceable = -1;
    CrewPlan crew;
    Duration save_period{};       // each server saves an RDB file so often; 0: never
    bool is_saved_at_kill = false;
    Duration supervisor_delay{};  // of a supervisor that starts killed servers; 0: none does
    bool has_stubborn_client = false;  // one that writes to the first master only, whoever is it
    Duration row_period = std::chrono::milliseconds(50);
    std::vector<RedisFault> faults;  // by time
    [[nodiscard]] std::string describe() const;
    // Nothing but the first fault happens.
    [[nodiscard]] bool is_undisturbed() const {
        return faults.size() == 1 && is_crew_undisturbed();
    }
    [[nodiscard]] bool is_crew_undisturbed() const {
        return crew.controllers == 1 && crew.crash.at_write == 0 && crew.crash.stall_at_write == 0 &&
               crew.slow_marker == Duration();
    }
    // Neither by a fault.
    [[nodiscard]] bool is_crew_calm() const {
        return is_crew_undisturbed() &&
               std::none_of(faults.begin(), faults.end(),
                            [](const RedisFault& fault) { return fault.kind >= RedisFaultKind::kJumpClock; });
    }
};

[[nodiscard]] RedisSchedule make_redis_schedule(std::uint64_t seed);

}  // namespace aeterna::sim
