// The directory that an engine restores into: empty before, and afterwards a server that stands alone, as one from our
// own backups does (restore/plan.h).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "env/file_tree.h"
#include "env/files.h"
#include "env/processes.h"

namespace aeterna::postgres {

// kGuardRefused.
[[nodiscard]] Status check_empty_target(env::FileTree& tree, const std::string& path);
// Makes it, its last part alone, for `user` where it is not there.
[[nodiscard]] Status make_target(env::FileTree& tree, env::Files& files, const std::string& path,
                                 const std::optional<env::User>& user);

struct EngineRecovery {
    std::string restore_command;
    std::map<std::string, std::string> target;  // recovery_target_…
};
// Writes its configuration; durable when it returns.
[[nodiscard]] Status let_stand_alone(env::Files& files, const std::string& path, const std::optional<env::User>& user,
                                     const EngineRecovery& recovery);

}  // namespace aeterna::postgres
