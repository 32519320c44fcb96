#include "env/posix/descriptor_io.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "env/posix/errors.h"

namespace aeterna::env {

Result<std::size_t> read_fully(int file, std::uint64_t offset, std::span<char> into, const std::string& path) {
    std::size_t total = 0;
    while (total < into.size()) {
        const std::span<char> rest = into.subspan(total);
        const ssize_t got = ::pread(file, rest.data(), rest.size(), static_cast<off_t>(offset + total));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error(errno, quoted("read", path));
        if (got == 0) break;
        total += static_cast<std::size_t>(got);
    }
    return total;
}

Result<std::string> read_to_end(int file, std::size_t limit_bytes, const std::string& path) {
    std::string content;
    char buffer[1 << 16];
    while (true) {
        const ssize_t got = ::read(file, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_error(errno, quoted("read", path));
        if (got == 0) return content;
        if (static_cast<std::size_t>(got) > limit_bytes - content.size()) {
            return make_error(ErrorCode::kIo, fmt::format("'{}' is larger than {} bytes", path, limit_bytes));
        }
        content.append(buffer, static_cast<std::size_t>(got));
    }
}

Status write_fully(int file, std::uint64_t offset, std::span<const char> bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error(errno, quoted("write", path));
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

Status append_fully(int file, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_error(errno, quoted("write", path));
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace aeterna::env
