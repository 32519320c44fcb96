// A tree of files becomes another user's, with its root; no link is followed. For servers that root has restored.
#pragma once

#include <string>

#include "env/file_tree.h"
#include "env/files.h"

namespace aeterna::postgres {

Status give_tree(const std::string& path, env::Owner owner, env::FileTree& tree, env::Files& files);

}  // namespace aeterna::postgres
