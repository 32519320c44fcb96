// /proc as a table of processes (proc(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/processes.h"

namespace aeterna::env {

// Id, parent, state and command from the text of /proc/PID/stat. The command may hold spaces and parentheses:
// it ends at the last ')'.
[[nodiscard]] std::optional<ProcessInfo> parse_stat(std::string_view text);

// Nothing when there is no such process; zombies are returned (state 'Z').
[[nodiscard]] std::optional<ProcessInfo> read_process(int pid);
[[nodiscard]] std::vector<ProcessInfo> read_processes();
[[nodiscard]] std::vector<std::string> read_environment(int pid);

}  // namespace aeterna::env
