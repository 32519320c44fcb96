// Schedule: all that one run does, drawn from its seed: timings, modes, faults and when, our own
// crashes. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "env/sim/rng.h"
#include "models/patroni.h"

namespace aeterna::sim {

enum class FaultKind {
    kKillNode,  // agent and server of one host
    kKillPostgres,
    kKillAgent,
    kPauseNode,
    kPausePostgres,
    kPauseAgent,
    kCutNode,     // from everybody, both ways
    kCutNodeOut,  // what it sends is lost
    kCutNodeIn,   // what is sent to it is lost
    kSlowNode,
    kFreezePostgres,  // uninterruptible sleep: SIGKILL does not take
    kKillEtcd,
    kJumpClock,  // the controller's wall clock
    kCutController,
    kPauseController,
    kKillController,
};
[[nodiscard]] std::string_view fault_name(FaultKind kind);

struct Fault {
    Duration at{};
    FaultKind kind = FaultKind::kKillNode;
    int target = -1;  // a node, or -1: whoever leads then
    Duration lasts{};
};

struct Schedule {
    std::uint64_t seed = 0;
    models::PatroniSettings patroni;
    int nofailover = -1;  // a node with that tag
    std::string assist;   // off, propose or act
    int controllers = 1;
    int crash_at_write = 0;
    bool crash_is_durable = true;
    Duration restart_after = std::chrono::seconds(2);
    Duration row_period = std::chrono::milliseconds(100);
    std::vector<Fault> faults;  // by time
    [[nodiscard]] std::string describe() const;
};

[[nodiscard]] Schedule make_schedule(std::uint64_t seed);

}  // namespace aeterna::sim
