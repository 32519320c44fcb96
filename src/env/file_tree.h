// The port to trees of files as a backup sees them and a restore makes them: attributes to the nanosecond, holes, links
// that are never followed, and one call that makes a whole file system durable. Paths are byte strings. Errors:
// kNotFound, kPermission, kAlreadyExists, kNoSpace, kIo. Thread-safe; one open file is too, where places differ.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/lent_bytes.h"
#include "base/result.h"
#include "env/room.h"

namespace aeterna::env {

enum class NodeType { kFile, kDirectory, kSymlink, kOther };

struct NodeInfo {
    NodeType type = NodeType::kOther;
    std::uint32_t mode = 0;  // permission bits with set-id and sticky
    std::uint32_t uid = 0, gid = 0;
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0, ctime_ns = 0;  // since the Unix epoch
    std::uint64_t inode = 0, device = 0;
};

struct NodeEntry {
    std::string name;
    NodeInfo info;
};

class SourceFile {
  public:
    virtual ~SourceFile() = default;
    // Smaller than `into` only at the file's end.
    [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
    // So many bytes as read_at() would give, without a copy. Nothing where they do not lie in memory together.
    [[nodiscard]] virtual Result<std::optional<LentBytes>> lend(std::uint64_t offset, std::size_t bytes) {
        (void)offset, (void)bytes;
        return std::nullopt;
    }
    // The first place at or after `offset` that may hold something else than zeros; the file's size when none does.
    [[nodiscard]] virtual Result<std::uint64_t> next_data(std::uint64_t offset) = 0;
    [[nodiscard]] virtual Result<NodeInfo> look() = 0;
};

class TargetFile {
  public:
    virtual ~TargetFile() = default;
    virtual Status write_at(std::uint64_t offset, std::span<const char> bytes) = 0;
    [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
    // What is added reads as zeros and takes no space.
    virtual Status resize(std::uint64_t size) = 0;
    // A part reads as zeros and takes no space (within the file's size).
    virtual Status punch_hole(std::uint64_t offset, std::uint64_t bytes) = 0;
    // Lets the kernel begin to write a part that will hardly change, so that the later sync has less to wait for. A hint.
    virtual void start_writeback(std::uint64_t offset, std::uint64_t bytes) = 0;
    // Owner, mode and modification time, in the order that keeps set-id bits.
    virtual Status set_attributes(const NodeInfo& info) = 0;
};

class FileTree {
  public:
    virtual ~FileTree() = default;
    [[nodiscard]] virtual Result<NodeInfo> look(const std::string& path) = 0;
    // In the order of their names' bytes. What vanishes meanwhile is left out.
    [[nodiscard]] virtual Result<std::vector<NodeEntry>> entries(const std::string& directory) = 0;
    // Regular files only.
    [[nodiscard]] virtual Result<std::unique_ptr<SourceFile>> open(const std::string& path) = 0;
    // An existing regular file or a new one, 0600, for reading and writing. With `is_new` kAlreadyExists when the
    // name is taken.
    [[nodiscard]] virtual Result<std::unique_ptr<TargetFile>> open_target(const std::string& path, bool is_new) = 0;
    virtual Status make_directory(const std::string& path) = 0;  // 0700; kAlreadyExists when the name is taken
    virtual Status make_symlink(const std::string& path, const std::string& target) = 0;
    [[nodiscard]] virtual Result<std::string> read_symlink(const std::string& path) = 0;
    // Of a directory or link; a link has no mode of its own.
    virtual Status set_attributes(const std::string& path, const NodeInfo& info) = 0;
    // A file, link or empty directory; missing is success.
    virtual Status remove(const std::string& path) = 0;
    virtual Status rename(const std::string& from, const std::string& to) = 0;
    // Of the file system of `path`, or of its nearest parent that exists.
    [[nodiscard]] virtual Result<Room> room(const std::string& path) = 0;
    // Everything that was written to the file system of `path` is durable when it returns.
    virtual Status sync_file_system(const std::string& path) = 0;
};

}  // namespace aeterna::env
