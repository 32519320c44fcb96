// statvfs(3), for both ports to files.
#pragma once

#include <string>

#include "base/result.h"
#include "env/room.h"

namespace aeterna::env {

// Of the file system of `path`, or of its nearest parent that exists.
[[nodiscard]] Result<Room> measure_room(const std::string& path);

}  // namespace aeterna::env
