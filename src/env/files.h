// The port to the file system. Paths are UTF-8 strings. Errors: kNotFound, kPermission, kAlreadyExists, kIo.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "env/room.h"

namespace aeterna::env {

// Append-only file; closed by the destructor.
class AppendFile {
  public:
    virtual ~AppendFile() = default;
    // Handed to the kernel when it returns (survives kill -9 of this process). kIo leaves the length unknown.
    virtual Status append(std::string_view bytes) = 0;
    // Durable (fdatasync) when it returns.
    virtual Status sync() = 0;
};

// An exclusive advisory lock (flock), released by the destructor or by the death of the process.
class FileLock {
  public:
    virtual ~FileLock() = default;
};

// What a write_durable() that was killed leaves beside its file: ".FILE.tmp-" and more. Hidden, so that neither a glob nor
// systemd's ConditionDirectoryNotEmpty takes it for a file of the directory.
inline constexpr std::string_view kLeftByWrite = ".tmp-";
[[nodiscard]] inline bool is_left_by_write(std::string_view name, std::string_view of_file) {
    return name.starts_with('.') && name.substr(1).starts_with(of_file) &&
           name.substr(1 + of_file.size()).starts_with(kLeftByWrite);
}

struct Owner {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

class Files {
  public:
    virtual ~Files() = default;
    // kIo when larger than `limit_bytes`.
    [[nodiscard]] virtual Result<std::string> read(const std::string& path,
                                                   std::size_t limit_bytes = 64 << 20) = 0;
    // The last `limit_bytes` of a file: for a server's log in an error message.
    [[nodiscard]] virtual Result<std::string> read_tail(const std::string& path, std::size_t limit_bytes) = 0;
    // Old content or new content, never a mix; durable (file, rename, directory) when it returns. The new file is `owner`'s from
    // its first moment on; without one it is ours.
    virtual Status write_durable(const std::string& path, std::string_view content, int mode = 0600,
                                 std::optional<Owner> owner = std::nullopt) = 0;
    [[nodiscard]] virtual Result<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                                          int mode = 0600) = 0;
    // Creates missing parents too; what exists is left as it is.
    virtual Status make_directories(const std::string& path, int mode = 0700) = 0;
    // Names, sorted, without "." and "..".
    [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
    [[nodiscard]] virtual bool exists(const std::string& path) = 0;
    // A file or an empty directory; missing is success.
    virtual Status remove(const std::string& path) = 0;
    // Never follows symbolic links; missing is success.
    virtual Status remove_tree(const std::string& path) = 0;
    virtual Status change_owner(const std::string& path, Owner owner) = 0;
    virtual Status change_mode(const std::string& path, int mode) = 0;
    [[nodiscard]] virtual Result<Owner> owner(const std::string& path) = 0;
    // Absolute, symbolic links resolved as far as the path exists.
    [[nodiscard]] virtual std::string canonical(const std::string& path) = 0;
    // Of the file system of `path`, or of its nearest parent that exists.
    [[nodiscard]] virtual Result<Room> room(const std::string& path) = 0;
    // kLocked when another process holds it.
    [[nodiscard]] virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
    [[nodiscard]] virtual std::optional<std::string> environment_variable(const std::string& name) = 0;
};

}  // namespace aeterna::env
