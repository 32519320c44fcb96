// From errno to Error, and the descriptor that closes itself: shared by the files of this folder.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace aeterna::env {

// For files and processes: kNotFound, kPermission, kAlreadyExists, kNoSpace, kIo.
[[nodiscard]] Error file_error(int error_number, const std::string& what);
// For sockets: kConnectionRefused, kConnectionLost, kTimeout, kUnreachable, kPermission, kIo.
[[nodiscard]] ErrorCode socket_error_code(int error_number);
[[nodiscard]] Error socket_error(int error_number, const std::string& what);
// The same for what a connect to another host says. EINVAL, EACCES and EPERM are no word of that host: our own kernel sends
// nothing there, by a route that drops or prohibits, or by a firewall (ip-route(8), connect(2)). kUnreachable.
[[nodiscard]] ErrorCode connect_error_code(int error_number);
[[nodiscard]] Error connect_error(int error_number, const std::string& what);
// "read '/a/b'": what was tried, for the errors above.
[[nodiscard]] std::string quoted(std::string_view verb, const std::string& path);
// The system's text for an errno, thread-safe.
[[nodiscard]] std::string errno_text(int error_number);

// Owns a file descriptor; -1 is none.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
    Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            descriptor_ = std::exchange(other.descriptor_, -1);
        }
        return *this;
    }
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const { return descriptor_; }
    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
    void reset();

  private:
    int descriptor_ = -1;
};

}  // namespace aeterna::env
