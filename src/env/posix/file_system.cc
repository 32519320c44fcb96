// One system call per method, repeated until it is done. A new name is taken by renameat2(RENAME_NOREPLACE), which
// leaves no second name behind when the power fails; where a file system does not know it (NFS), by link(2) and
// unlink(2).
#include "env/posix/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "env/posix/descriptor_io.h"
#include "env/posix/errors.h"

namespace aeterna::env {
namespace {

FileStat stat_of(const struct stat& info) {
    const auto since = std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
    return {static_cast<std::uint64_t>(info.st_size),
            WallTime(std::chrono::duration_cast<WallTime::duration>(since))};
}

class PosixOpenFile final : public OpenFile {
  public:
    PosixOpenFile(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    Status write_at(std::uint64_t offset, std::span<const char> bytes) override {
        return write_fully(file_.get(), offset, bytes, path_);
    }

    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        return read_fully(file_.get(), offset, into, path_);
    }

    void start_writeback(std::uint64_t offset, std::uint64_t bytes) override {
        (void)::sync_file_range(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                                SYNC_FILE_RANGE_WRITE);
    }

    Status sync_data() override {
        while (::fdatasync(file_.get()) != 0) {
            if (errno != EINTR) return file_error(errno, quoted("sync", path_));
        }
        return {};
    }

    Status touch() override {
        if (::futimens(file_.get(), nullptr) == 0) return {};
        return file_error(errno, quoted("touch", path_));
    }

    Result<FileStat> stat() override {
        struct stat info {};
        if (::fstat(file_.get(), &info) != 0) return file_error(errno, quoted("look at", path_));
        return stat_of(info);
    }

  private:
    Descriptor file_;
    std::string path_;
};

// The kind of what an entry leads to; nothing where it is gone or is neither file nor directory.
bool find_kind(int directory, const dirent& entry, EntryKind& kind) {
    if (entry.d_type == DT_REG || entry.d_type == DT_DIR) {
        kind = entry.d_type == DT_REG ? EntryKind::kFile : EntryKind::kDirectory;
        return true;
    }
    if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return false;
    struct stat info {};
    if (::fstatat(directory, entry.d_name, &info, 0) != 0) return false;
    kind = S_ISDIR(info.st_mode) ? EntryKind::kDirectory : EntryKind::kFile;
    return S_ISDIR(info.st_mode) || S_ISREG(info.st_mode);
}

class PosixFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<OpenFile>> open_for_reading(const std::string& path) override {
        return open_regular(path, O_RDONLY);
    }
    Result<std::unique_ptr<OpenFile>> open_for_writing(const std::string& path) override {
        return open_regular(path, O_RDWR);
    }

    Result<std::unique_ptr<OpenFile>> create(const std::string& path, int mode) override {
        const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        Descriptor file(::open(path.c_str(), flags, static_cast<mode_t>(mode)));
        if (!file.is_open()) return file_error(errno, quoted("create", path));
        return std::make_unique<PosixOpenFile>(std::move(file), path);
    }

    Status make_directory(const std::string& path, int mode) override {
        if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) return {};
        return file_error(errno, quoted("create directory", path));
    }

    Status rename_new(const std::string& from, const std::string& to) override {
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
        if (errno != EINVAL && errno != ENOSYS) return file_error(errno, quoted("name", to));
        if (::link(from.c_str(), to.c_str()) != 0) return file_error(errno, quoted("name", to));
        (void)::unlink(from.c_str());  // a second name that stays is swept later as unfinished
        return {};
    }

    Status rename_over(const std::string& from, const std::string& to) override {
        if (::rename(from.c_str(), to.c_str()) == 0) return {};
        return file_error(errno, quoted("replace", to));
    }

    Status remove_file(const std::string& path) override {
        if (::unlink(path.c_str()) == 0) return {};
        return file_error(errno, quoted("remove", path));
    }

    Result<FileStat> stat(const std::string& path) override {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) return file_error(errno, quoted("look at", path));
        if (!S_ISREG(info.st_mode)) return file_error(ENOENT, quoted("look at", path));
        return stat_of(info);
    }

    Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> opened(::opendir(directory.c_str()), &::closedir);
        if (opened == nullptr) return file_error(errno, quoted("list", directory));
        std::vector<DirectoryEntry> entries;
        while (true) {
            errno = 0;
            const dirent* entry = ::readdir(opened.get());
            if (entry == nullptr && errno != 0) return file_error(errno, quoted("list", directory));
            if (entry == nullptr) return entries;
            const std::string_view name = entry->d_name;
            EntryKind kind = EntryKind::kFile;
            if (name == "." || name == ".." || !find_kind(::dirfd(opened.get()), *entry, kind)) continue;
            entries.push_back({std::string(name), kind});
        }
    }

    Status sync_directory(const std::string& path) override {
        const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!directory.is_open()) return file_error(errno, quoted("sync directory", path));
        while (::fsync(directory.get()) != 0) {
            // A file system that has no such call (some over a network) keeps names by itself.
            if (errno == EINVAL || errno == ENOTSUP) return {};
            if (errno != EINTR) return file_error(errno, quoted("sync directory", path));
        }
        return {};
    }

  private:
    // Does not wait for the other end of a pipe that somebody put in the file's place.
    static Result<std::unique_ptr<OpenFile>> open_regular(const std::string& path, int access) {
        Descriptor file(::open(path.c_str(), access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (!file.is_open()) return file_error(errno == EISDIR ? ENOENT : errno, quoted("open", path));
        struct stat info {};
        if (::fstat(file.get(), &info) != 0) return file_error(errno, quoted("open", path));
        if (!S_ISREG(info.st_mode)) return file_error(ENOENT, quoted("open", path));
        return std::make_unique<PosixOpenFile>(std::move(file), path);
    }
};

}  // namespace

std::unique_ptr<FileSystem> make_posix_file_system() { return std::make_unique<PosixFileSystem>(); }

}  // namespace aeterna::env
