#pragma once

#include <memory>

#include "env/file_tree.h"

namespace aeterna::env {

[[nodiscard]] std::unique_ptr<FileTree> make_posix_file_tree();

}  // namespace aeterna::env
