// backup watch: continuous capture in the foreground.
#pragma once

namespace CLI {
class App;
}

namespace aeterna::app {

class Session;

void add_backup_watch_command(CLI::App& backup, Session& session);

}  // namespace aeterna::app
