// The options that a store alone has, as options of its command.
#pragma once

#include "engine/capture/backup.h"

namespace CLI {
class App;
}

namespace aeterna::app {

// `values` lives as long as the command.
void add_store_options(CLI::App& command, const std::vector<engine::CommandOption>& options,
                       engine::OptionValues& values);

}  // namespace aeterna::app
