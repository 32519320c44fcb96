#include "env/posix/measure_room.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>

#include "env/posix/errors.h"

namespace aeterna::env {

Result<Room> measure_room(const std::string& path) {
    std::string at = path;
    struct statvfs status {};
    struct stat node {};
    while (::statvfs(at.c_str(), &status) != 0) {
        const std::size_t slash = at.rfind('/');
        if (errno != ENOENT || slash == std::string::npos || at == "/") return file_error(errno, quoted("measure", path));
        at.erase(std::max<std::size_t>(slash, 1));
    }
    if (::stat(at.c_str(), &node) != 0) return file_error(errno, quoted("measure", path));
    const std::uint64_t unit = status.f_frsize;
    // What is kept for root is neither used nor free, as df(1) counts.
    return Room{status.f_bavail * unit, node.st_dev, (status.f_blocks - status.f_bfree + status.f_bavail) * unit};
}

}  // namespace aeterna::env
