// Plots: conditions that forbid to act, each with a primary that is lost while it holds; see schedule.h.
#pragma once

#include "harness/schedule.h"

namespace aeterna::sim {

// Gives the schedule one of them, drawn by chance.
void draw_plot(Rng& rng, Schedule& schedule);

}  // namespace aeterna::sim
