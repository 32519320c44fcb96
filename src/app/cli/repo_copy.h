// repo copy.
#pragma once

namespace CLI {
class App;
}

namespace aeterna::app {

class Session;

void add_copy_command(CLI::App& repo, Session& session);

}  // namespace aeterna::app
