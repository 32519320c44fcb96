// Bytes that lie in somebody else's buffer.
#pragma once

#include <memory>
#include <span>
#include <string>

namespace aeterna {

// With an owner they stay while it lives, and nobody changes them: who wants to keep them keeps it. Without one they may be gone
// or others when the call returns that they are given to, and after the next call on whoever gave them.
struct LentBytes {
    std::span<const char> bytes;
    std::shared_ptr<const std::string> owner;
};

}  // namespace aeterna
