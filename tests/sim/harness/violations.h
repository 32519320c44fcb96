// Violations: what must not have been, with its time; the first ten are kept, all are told.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "env/sim/world.h"

namespace aeterna::sim {

class Violations {
  public:
    explicit Violations(World& world) : world_(world) {}
    void add(const std::string& what) {
        world_.trace("VIOLATION: " + what);
        if (lines_.size() < 10) lines_.push_back(fmt::format("at {:.3f} s: {}", to_seconds(world_.age()), what));
    }
    [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

  private:
    World& world_;
    std::vector<std::string> lines_;
};

}  // namespace aeterna::sim
