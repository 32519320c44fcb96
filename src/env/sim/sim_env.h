// SimEnv: the ports of env/ for the code of one virtual process. When the process dies, every port
// fails at once and without effect (kCancelled), sleeps return false and stop is requested on its
// threads: its fibers then run to their end by the same paths that a stop takes, but nothing that
// they still try reaches the world.
#pragma once

#include <memory>

#include "env/env.h"
#include "env/sim/world.h"

namespace aeterna::sim {

class SimEnv {
  public:
    SimEnv(World& world, Process& process);
    ~SimEnv();
    SimEnv(const SimEnv&) = delete;
    SimEnv& operator=(const SimEnv&) = delete;

    [[nodiscard]] const env::Env& env() const;
    // $NAME of this process.
    void set_variable(const std::string& name, const std::string& value);

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace aeterna::sim
