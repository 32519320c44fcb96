// The plots of the Redis schedules: faults that belong together, bring the condition of a safety check about and seldom
// come by chance.
#pragma once

#include "harness/redis_schedule.h"

namespace aeterna::sim {

void draw_redis_plot(Rng& rng, RedisSchedule& schedule);

}  // namespace aeterna::sim
