// Fences that stand until somebody else lifts them.
#pragma once

#include <string>
#include <vector>

#include "engine/runbook/step.h"
#include "hosts/executor.h"

namespace aeterna::engine {

// For a step that waits until nodes run again.
class ForeignFenceWatch {
  public:
    // Once a second. kAwaitingApproval: one of the nodes has no main process, and it is held down by a person, or by another
    // execution that lifts that with the actor lock alone, which we hold in etcd (a lock file keeps nobody on another machine
    // from lifting what is his). Not by the execution that `step` is of, nor by a drill, which lifts its own while we wait;
    // nor where the host does not tell.
    [[nodiscard]] Status look(hosts::Executor& executor, const std::vector<std::string>& nodes, const StepContext& step,
                              MonoTime now);

  private:
    MonoTime look_at_ = MonoTime::min();
};

}  // namespace aeterna::engine
