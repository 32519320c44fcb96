// aeterna-dr: see cli/command_line.h.
#include <string>
#include <vector>

#include "app/cli/command_line.h"

int main(int argc, char** argv) {
    return aeterna::app::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
