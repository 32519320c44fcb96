// The real file system behind env/file_system.h.
#pragma once

#include <memory>

#include "env/file_system.h"

namespace aeterna::env {

[[nodiscard]] std::unique_ptr<FileSystem> make_posix_file_system();

}  // namespace aeterna::env
