// The port to a file system in single, honest calls: what a repository on a local path is built of. Nothing here is
// durable by itself: `sync_data` makes a file's content durable, `sync_directory` the names in one directory. A
// power-loss model stands in for it in tests. Paths are UTF-8. Errors: kNotFound, kPermission (also a read-only file
// system), kAlreadyExists, kNoSpace (full, or over quota), kIo. All calls are thread-safe; one file is not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace aeterna::env {

struct FileStat {
    std::uint64_t bytes = 0;
    WallTime modified{};  // by the file system's clock, which on a network is the server's
};

// An open regular file; closed by the destructor.
class OpenFile {
  public:
    virtual ~OpenFile() = default;
    // All of it. After an error an unknown part is there.
    virtual Status write_at(std::uint64_t offset, std::span<const char> bytes) = 0;
    // Smaller than `into` only at the file's end.
    [[nodiscard]] virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) = 0;
    // Lets the kernel begin to write a part that will not change, so that the later sync has less to wait for.
    // A hint; says nothing about durability.
    virtual void start_writeback(std::uint64_t offset, std::uint64_t bytes) = 0;
    // Content and length durable (fdatasync) when it returns. After an error the content must be thought lost: a
    // second call may succeed without having written anything.
    virtual Status sync_data() = 0;
    // Sets the modification time to the file system's own now, without needing space.
    virtual Status touch() = 0;
    [[nodiscard]] virtual Result<FileStat> stat() = 0;
};

enum class EntryKind { kFile, kDirectory };

struct DirectoryEntry {
    std::string name;
    EntryKind kind = EntryKind::kFile;
};

class FileSystem {
  public:
    virtual ~FileSystem() = default;
    // kNotFound also where the path is no regular file.
    [[nodiscard]] virtual Result<std::unique_ptr<OpenFile>> open_for_reading(const std::string& path) = 0;
    // An existing file for `touch` and `write_at`.
    [[nodiscard]] virtual Result<std::unique_ptr<OpenFile>> open_for_writing(const std::string& path) = 0;
    // kAlreadyExists when the name is taken, whatever it names.
    [[nodiscard]] virtual Result<std::unique_ptr<OpenFile>> create(const std::string& path, int mode) = 0;
    // kAlreadyExists when the name is taken.
    virtual Status make_directory(const std::string& path, int mode) = 0;
    // Takes the new name only if it is free, decided atomically: kAlreadyExists otherwise, and nothing has changed.
    virtual Status rename_new(const std::string& from, const std::string& to) = 0;
    // Takes the new name in one step, from whatever file held it.
    virtual Status rename_over(const std::string& from, const std::string& to) = 0;
    // Missing is kNotFound.
    virtual Status remove_file(const std::string& path) = 0;
    // kNotFound also where the path is no regular file.
    [[nodiscard]] virtual Result<FileStat> stat(const std::string& path) = 0;
    // Regular files and directories, also through symbolic links; nothing else. In no order.
    [[nodiscard]] virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
    // Every change of a name in this directory that came before is durable when it returns.
    virtual Status sync_directory(const std::string& path) = 0;
};

}  // namespace aeterna::env
