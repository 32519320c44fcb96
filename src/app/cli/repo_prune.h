// The parts of 'repo' and 'backups' that take something away.
#pragma once

namespace CLI {
class App;
}

namespace aeterna::app {

class Session;

void add_prune_commands(CLI::App& repo, Session& session);
void add_forget_command(CLI::App& backups, Session& session);

}  // namespace aeterna::app
