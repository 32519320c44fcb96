// A sample stack for the tests of what is shown, and the comparison with the files of tests/golden.
#pragma once

#include <string>
#include <vector>

#include "app/cli/render_status.h"

namespace aeterna::app::samples {

StatusView healthy();
StatusView redis_master_down();
StatusView isolated();
StatusView in_maintenance();

// Compares with tests/golden/NAME; with AETERNA_UPDATE_GOLDEN in the environment, writes it.
void expect_golden(const std::string& name, const std::string& text);
std::string joined(const std::vector<std::string>& lines);

}  // namespace aeterna::app::samples
