// Site: what a controller needs of the place that it watches: its own host and its stack file.
#pragma once

#include <string>
#include <vector>

#include "env/sim/world.h"

namespace aeterna::sim {

class Site {
  public:
    virtual ~Site() = default;
    [[nodiscard]] virtual World& world() = 0;
    [[nodiscard]] virtual Host& controller_host(int controller) = 0;
    // For a controller with that state directory.
    [[nodiscard]] virtual std::string stack_file(const std::string& state_directory,
                                                 const std::string& assist) const = 0;

    std::vector<std::string> fence_directories;
    // "patroni-2 by exec-…": every marker that is there.
    [[nodiscard]] std::vector<std::string> markers();
    [[nodiscard]] bool is_marked(const std::string& node);
};

}  // namespace aeterna::sim
