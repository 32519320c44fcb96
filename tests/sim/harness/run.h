// run_schedule: one schedule from a healthy cluster to its end, and what must hold:
//   - never two writers by our hand: who lost the leader key through us writes no more until it has
//   it again
//   - in synchronous mode no acknowledged row is lost, as long as Patroni itself did not overwrite
//   another's key
//   - while a controller is cut off from everybody it signals nobody and changes nothing in etcd
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
