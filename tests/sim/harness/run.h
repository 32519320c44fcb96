// run_schedule: one schedule from a healthy cluster to its end, and what must hold:
//   - never two writers by our hand: whose leader key we released runs no more until somebody leads, and writes no more
//     until it holds the key again; a confirmed fence lets nobody write; what a person starts by force, past the marker, runs
//     by that person's hand, and writes no more without the key all the same
//   - whatever forbids to act is heeded: a fence, a SIGKILL or a release is wrong while the models say (truth.h) that
//     the cluster was paused, a failover was asked for, ... for longer than anybody may take to know it
//   - who is killed had been silent for 5 s to us and to its replicas, or was dead, or its agent was
//   - a release is made by the holder of the actor lock, of a node of which nothing runs and that a marker holds down
//   - nobody acts without leave: the stack file's word, the execution's, maintenance windows, the cooldown
//   - while a controller is cut off from everybody it signals nobody and changes nothing in etcd
//   - in synchronous mode no acknowledged row is lost, as long as Patroni itself did not overwrite another's key
//   - every fence is lifted at the end, or an execution that did not succeed tells of it
//   - every execution ends or asks
//   - the cluster finds back to one leader with all replicas
// A model that meets a statement it does not know fails the run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/schedule.h"

namespace aeterna::sim {

struct Outcome {
    std::vector<std::string> violations;
    std::uint64_t fingerprint = 0;
    std::uint64_t turns = 0;
    Duration virtual_time{};
    Duration longest_outage{};
    std::size_t rows_acknowledged = 0;
    std::size_t rows_lost = 0;
    int thefts = 0;
    int executions = 0;
    int fences = 0;  // SIGKILLs by a controller
    int releases = 0;
    bool was_healthy = false;
    std::string final_state;
};

[[nodiscard]] Outcome run_schedule(const Schedule& schedule,
                                   const std::function<void(const std::string&)>& on_trace = {});

}  // namespace aeterna::sim
