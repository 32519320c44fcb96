// run_redis_schedule: one schedule with Redis and Sentinel from a healthy cluster to its end; what must hold stands in
// redis_checks.h.
#pragma once

#include <functional>

#include "harness/redis_schedule.h"
#include "harness/run.h"

namespace aeterna::sim {

[[nodiscard]] Outcome run_redis_schedule(const RedisSchedule& schedule,
                                         const std::function<void(const std::string&)>& on_trace = {});

}  // namespace aeterna::sim
