// Rng: every choice of a simulation comes from one of these, seeded from the run's seed
// (splitmix64, Steele, Lea and Flood 2014: 64 bits of state, passes BigCrush, a fork is one draw).
#pragma once

#include <cstdint>

#include "base/time.h"

namespace aeterna::sim {

class Rng {
  public:
    explicit Rng(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    // 0 … count-1; count > 0. The bias of the remainder does not matter here.
    std::uint64_t below(std::uint64_t count) { return next() % count; }
    bool chance(double probability) {
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    // Uniform in [low, high].
    Duration between(Duration low, Duration high) {
        return high <= low ? low
                           : low + Duration(static_cast<Duration::rep>(below(
                                       static_cast<std::uint64_t>((high - low).count()) + 1)));
    }
    // Another, independent stream.
    Rng fork() { return Rng(next()); }

  private:
    std::uint64_t state_;
};

}  // namespace aeterna::sim
