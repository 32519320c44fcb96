// The subcommands of `restore` that are of stores.
#pragma once

#include "app/cli/session.h"

namespace CLI {
class App;
}

namespace aeterna::app {

void add_store_restores(CLI::App& command, Session& session);

}  // namespace aeterna::app
