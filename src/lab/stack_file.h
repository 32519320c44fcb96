// DIR/stack.yaml: the lab described for every other command, in the format of docs/stack-file.md.
#pragma once

#include <string>

#include "lab/layout.h"
#include "lab/programs.h"

namespace aeterna::lab {

[[nodiscard]] std::string stack_file(const Layout& layout, const Programs& programs);

}  // namespace aeterna::lab
