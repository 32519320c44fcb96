// Runs seeds in one process per core, so that a crash of one is seen and no state is shared.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/run.h"

namespace aeterna::sim {

struct RangeResult {
    std::uint64_t done = 0;
    std::uint64_t healthy = 0;
    double virtual_seconds = 0;
    std::uint64_t executions = 0, fences = 0, releases = 0, thefts = 0, rows_lost = 0;
    std::vector<std::string> failures;  // each with its seed and the schedule
};

// What a seed plays: PostgreSQL under Patroni, or Redis under Sentinel.
enum class Store { kPostgres, kRedis };

// One seed's run, and its schedule in words.
struct Played {
    Outcome outcome;
    std::string schedule;
};
[[nodiscard]] Played play_seed(Store store, std::uint64_t seed,
                               const std::function<void(const std::string&)>& on_trace = {});

// A process that dies or hangs (60 s of CPU for one seed) fails the seed that it was at. `play`: other than play_seed().
using Player = std::function<Played(std::uint64_t seed)>;
[[nodiscard]] RangeResult run_seeds(Store store, const std::vector<std::uint64_t>& seeds, unsigned processes,
                                    const Player& play = {});

}  // namespace aeterna::sim
