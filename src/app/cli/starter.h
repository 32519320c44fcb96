// Starter: who started this program. Commands that are of use to that one alone end when it has died.
#pragma once

#include <vector>

#include "env/processes.h"

namespace aeterna::app {

class Starter {
  public:
    // Our parent, and what stands above it in our process group: a wrapper's shell, and who called that. To be asked first of all: one
    // that has died before is not known.
    [[nodiscard]] static Starter find(env::Processes& processes);

    // kCancelled when one of them is gone.
    [[nodiscard]] Status still_there() const;

  private:
    explicit Starter(env::Processes& processes) : processes_(&processes) {}

    env::Processes* processes_;
    std::vector<env::ProcessInfo> ancestors_;
};

}  // namespace aeterna::app
