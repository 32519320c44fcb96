#include "env/sim/world.h"

#include <fmt/format.h>

namespace aeterna::sim {

World::World(std::uint64_t seed)
    : scheduler(seed),
      processes(scheduler),
      network(scheduler, processes),
      began_(scheduler.now()) {}

World::~World() {
    processes.end_all();
    scheduler.drain();
}

WallTime World::wall_now(const Host& host) const {
    return wall_origin + std::chrono::duration_cast<WallTime::duration>(age() + host.wall_offset);
}

void World::trace(const std::string& line) {
    if (on_trace) on_trace(fmt::format("{:9.4f} {}", to_seconds(age()), line));
}

}  // namespace aeterna::sim
