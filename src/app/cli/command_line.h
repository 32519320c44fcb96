// The command line: global options and the table of commands, parsed by CLI11, whose exceptions end here.
#pragma once

#include <string>
#include <vector>

namespace aeterna::app {

// Parses and runs; the exit code. `arguments` without the program's name.
[[nodiscard]] int run_command_line(const std::vector<std::string>& arguments);

}  // namespace aeterna::app
