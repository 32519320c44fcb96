#include "env/sim/world.h"

#include <fmt/format.h>

namespace aeterna::sim {

World::World(std::uint64_t seed)
    : scheduler(seed),
      processes(scheduler),
      network(scheduler, processes),
      began_(scheduler.now()) {
    // One machine, booted once: the disk is its own.
    constexpr const char* kKernelRandom = "/proc/sys/kernel/random";
    disk.make_directories(kKernelRandom, 0555);
    if (const Result<Disk::Node*> boot = disk.make(fmt::format("{}/boot_id", kKernelRandom)))
        (*boot)->content = (*boot)->durable = "00000000-0000-4000-8000-000000000001\n";
}

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
