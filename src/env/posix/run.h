// Running a program to its end, with input and output, within a context.
#pragma once

#include "env/posix/launch.h"
#include "env/processes.h"

namespace aeterna::env {

[[nodiscard]] Result<RunResult> run_program(const RunOptions& options, const Context& context);

}  // namespace aeterna::env
