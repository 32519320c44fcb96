// How each node's process is started: argv, environment, working directory. Pure. No secret is in
// an argv.
#pragma once

#include <optional>
#include <string>

#include "env/processes.h"
#include "lab/layout.h"
#include "lab/programs.h"
#include "lab/secrets.h"

namespace aeterna::lab {

// The configuration file of a node: DIR/etc/<node>/<name>.
[[nodiscard]] std::string config_file(const Layout& layout, const Node& node);

// Where root keeps a copy of this program for the stand-in: the servers' user may not reach the
// original, for one in a clone under /root.
[[nodiscard]] std::string own_copy(const Layout& layout);

// `server_user`: whom root starts servers as; nothing = as oneself. `serve` always runs as oneself.
[[nodiscard]] env::SpawnOptions server_command(const Layout& layout, const Secrets& secrets,
                                               const Programs& programs, const Node& node,
                                               const std::optional<env::User>& server_user);

}  // namespace aeterna::lab
