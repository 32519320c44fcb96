// What a file system has to offer.
#pragma once

#include <cstdint>

namespace aeterna::env {

struct Room {
    std::uint64_t free_bytes = 0;   // that an ordinary user may still write
    std::uint64_t file_system = 0;  // the same number: the same room
    std::uint64_t total_bytes = 0;
};

}  // namespace aeterna::env
