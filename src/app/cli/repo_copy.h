// repo copy.
#pragma once

#include <CLI/CLI.hpp>

#include "app/cli/session.h"

namespace aeterna::app {

void add_copy_command(CLI::App& repo, Session& session);

}  // namespace aeterna::app
