// Schedule: all that one run does, drawn from its seed: timings, modes, faults and when, our own crashes. Half of them
// follow a plot: faults and conditions that belong together, because chance alone would seldom bring them about. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "env/sim/rng.h"
#include "models/patroni.h"

namespace aeterna::sim {

enum class FaultKind {
    // Of one host.
    kKillNode,  // agent and server
    kKillPostgres,
    kKillAgent,
    kPauseNode,
    kPausePostgres,
    kPauseAgent,
    kCutNode,     // from everybody, both ways
    kCutNodeOut,  // what it sends is lost
    kCutNodeIn,   // what is sent to it is lost
    kCutPath,     // between it and the controllers only
    kSlowNode,
    kFreezePostgres,  // uninterruptible sleep: SIGKILL does not take
    kBreakAgent,      // killed, and it cannot be started
    kLosePidFiles,    // its executor finds nothing of it
    kStartByForce,    // by a person who heeds no marker
    kKillEtcd,
    // Of the cluster, by people.
    kPauseCluster,
    kAskFailover,   // a failover key
    kWrongSyncKey,  // a sync key of a leader that is gone
    kMaintenance,   // a maintenance window
    kSpoilConfig,   // Patroni's configuration in etcd cannot be read any more
    kHideLeases,    // etcd does not say how long a lease still lasts
    kDropLock,      // the lock of whoever acts is deleted
    kKillEtcdMajority,  // all but the target's
    // Of the first controller.
    kJumpClock,
    kCutController,
    kPauseController,
    kKillController,
    kStopController,  // asked to end, as by systemd
};
inline constexpr FaultKind kLastFault = FaultKind::kStopController;
[[nodiscard]] std::string_view fault_name(FaultKind kind);

struct Fault {
    static constexpr int kLeader = -1;  // whoever leads then, or led last
    static constexpr int kFirstOther = -2;
    static constexpr int kSecondOther = -3;
    static constexpr int kSame = -4;  // as the fault before
    Duration at{};
    FaultKind kind = FaultKind::kKillNode;
    int target = kLeader;
    Duration lasts{};
};

struct Schedule {
    std::uint64_t seed = 0;
    models::PatroniSettings patroni;
    std::string plot;
    int nofailover = -1;  // a node with that tag
    int unfenceable = -1;  // a node whose starter heeds no markers, as the stack file says
    std::string assist;   // off, propose or act
    std::optional<Duration> approves_after;  // crew.h; nothing: as approval_of() says
    int controllers = 1;
    int crash_at_write = 0;
    bool crash_is_durable = true;
    int stall_at_write = 0;
    Duration stall_for{};
    Duration slow_marker{};  // crew.h
    int slow_marker_number = 1;
    Duration restart_after = std::chrono::seconds(2);
    Duration supervisor_delay{};  // of a supervisor that starts killed agents; 0: none does
    Duration slowest_recovery = std::chrono::milliseconds(2500);
    Duration row_period = std::chrono::milliseconds(100);
    std::vector<Fault> faults;  // by time
    [[nodiscard]] std::string describe() const;
};

[[nodiscard]] Schedule make_schedule(std::uint64_t seed);

}  // namespace aeterna::sim
