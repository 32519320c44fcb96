#include "env/posix/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "env/posix/descriptor_io.h"
#include "env/posix/errors.h"
#include "env/posix/measure_room.h"

namespace aeterna::env {
namespace {

std::int64_t to_ns(const timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

NodeInfo to_info(const struct stat& status) {
    NodeInfo info;
    if (S_ISREG(status.st_mode)) info.type = NodeType::kFile;
    if (S_ISDIR(status.st_mode)) info.type = NodeType::kDirectory;
    if (S_ISLNK(status.st_mode)) info.type = NodeType::kSymlink;
    info.mode = status.st_mode & 07777;
    info.uid = status.st_uid;
    info.gid = status.st_gid;
    info.size = static_cast<std::uint64_t>(status.st_size);
    info.mtime_ns = to_ns(status.st_mtim);
    info.ctime_ns = to_ns(status.st_ctim);
    info.inode = status.st_ino;
    info.device = status.st_dev;
    return info;
}

// The access time is left alone.
struct Times {
    timespec both[2];
    explicit Times(std::int64_t mtime_ns) : both{{0, UTIME_OMIT}, {}} {
        std::int64_t seconds = mtime_ns / 1'000'000'000, rest = mtime_ns % 1'000'000'000;
        if (rest < 0) {
            rest += 1'000'000'000;
            --seconds;
        }
        both[1].tv_sec = seconds;
        both[1].tv_nsec = rest;
    }
};

// Only root may give files away: for others the owner is a wish.
bool may_ignore(int error_number) { return error_number == EPERM && ::geteuid() != 0; }

class PosixSource final : public SourceFile {
  public:
    PosixSource(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        return read_fully(file_.get(), offset, into, path_);
    }
    Result<std::uint64_t> next_data(std::uint64_t offset) override {
        const off_t place = ::lseek(file_.get(), static_cast<off_t>(offset), SEEK_DATA);
        if (place >= 0) return static_cast<std::uint64_t>(place);
        if (errno != ENXIO) return offset;  // the file system does not tell
        AETERNA_ASSIGN(const NodeInfo info, look());
        return info.size;
    }
    Result<NodeInfo> look() override {
        struct stat status {};
        if (::fstat(file_.get(), &status) != 0) return file_error(errno, quoted("look at", path_));
        return to_info(status);
    }

  private:
    Descriptor file_;
    std::string path_;
};

class PosixTarget final : public TargetFile {
  public:
    PosixTarget(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    Status write_at(std::uint64_t offset, std::span<const char> bytes) override {
        return write_fully(file_.get(), offset, bytes, path_);
    }
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
        return read_fully(file_.get(), offset, into, path_);
    }
    Status resize(std::uint64_t size) override {
        if (::ftruncate(file_.get(), static_cast<off_t>(size)) == 0) return {};
        return file_error(errno, quoted("resize", path_));
    }
    Status punch_hole(std::uint64_t offset, std::uint64_t bytes) override {
        if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                        static_cast<off_t>(bytes)) == 0) {
            return {};
        }
        if (errno != EOPNOTSUPP) return file_error(errno, quoted("punch a hole into", path_));
        const std::string zeros(std::min<std::uint64_t>(bytes, 1 << 20), '\0');
        for (std::uint64_t done = 0; done < bytes; done += zeros.size()) {
            AETERNA_TRY(write_at(offset + done, std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), bytes - done))));
        }
        return {};
    }
    void start_writeback(std::uint64_t offset, std::uint64_t bytes) override {
        (void)::sync_file_range(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                                SYNC_FILE_RANGE_WRITE);
    }
    Status set_attributes(const NodeInfo& info) override {
        // What is so already is not written to the disk's journal again.
        const int file = file_.get();
        struct stat status {};
        if (::fstat(file, &status) != 0) return file_error(errno, quoted("look at", path_));
        const NodeInfo there = to_info(status);
        const bool changes_owner = there.uid != info.uid || there.gid != info.gid;
        if (changes_owner && ::fchown(file, info.uid, info.gid) != 0 && !may_ignore(errno)) {
            return file_error(errno, quoted("change owner of", path_));
        }
        if ((changes_owner || there.mode != info.mode) && ::fchmod(file, info.mode) != 0) {
            return file_error(errno, quoted("change mode of", path_));
        }
        if (there.mtime_ns != info.mtime_ns && ::futimens(file, Times(info.mtime_ns).both) != 0) {
            return file_error(errno, quoted("date", path_));
        }
        return {};
    }

  private:
    Descriptor file_;
    std::string path_;
};

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

class PosixFileTree final : public FileTree {
  public:
    Result<NodeInfo> look(const std::string& path) override {
        struct stat status {};
        if (::lstat(path.c_str(), &status) != 0) return file_error(errno, quoted("look at", path));
        return to_info(status);
    }

    Result<std::vector<NodeEntry>> entries(const std::string& directory) override {
        const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(directory.c_str()));
        if (!stream) return file_error(errno, quoted("list", directory));
        std::vector<NodeEntry> found;
        while (true) {
            errno = 0;
            const dirent* entry = ::readdir(stream.get());
            if (entry == nullptr && errno != 0) return file_error(errno, quoted("list", directory));
            if (entry == nullptr) break;
            const std::string name = entry->d_name;
            if (name == "." || name == "..") continue;
            struct stat status {};
            if (::fstatat(::dirfd(stream.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
                if (errno == ENOENT) continue;
                return file_error(errno, quoted("look at", directory + "/" + name));
            }
            found.push_back({name, to_info(status)});
        }
        std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        return found;
    }

    Result<std::unique_ptr<SourceFile>> open(const std::string& path) override {
        // Neither waits for a pipe's writer nor follows what somebody put in the file's place.
        Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC));
        if (!file.is_open()) return file_error(errno, quoted("open", path));
        AETERNA_TRY(require_regular(file, path));
        return std::make_unique<PosixSource>(std::move(file), path);
    }

    Result<std::unique_ptr<TargetFile>> open_target(const std::string& path, bool is_new) override {
        const int only_new = is_new ? O_EXCL : 0;
        Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | only_new | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file.is_open()) return file_error(errno, quoted("open", path));
        AETERNA_TRY(require_regular(file, path));
        return std::make_unique<PosixTarget>(std::move(file), path);
    }

    Status make_directory(const std::string& path) override {
        if (::mkdir(path.c_str(), 0700) == 0) return {};
        return file_error(errno, quoted("create directory", path));
    }

    Status make_symlink(const std::string& path, const std::string& target) override {
        if (::symlink(target.c_str(), path.c_str()) == 0) return {};
        return file_error(errno, quoted("create link", path));
    }

    Result<std::string> read_symlink(const std::string& path) override {
        std::string target(4096, '\0');  // PATH_MAX
        const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
        if (length < 0) return file_error(errno, quoted("read link", path));
        target.resize(static_cast<std::size_t>(length));
        return target;
    }

    Status set_attributes(const std::string& path, const NodeInfo& info) override {
        if (::lchown(path.c_str(), info.uid, info.gid) != 0 && !may_ignore(errno)) {
            return file_error(errno, quoted("change owner of", path));
        }
        if (info.type != NodeType::kSymlink && ::chmod(path.c_str(), info.mode) != 0) {
            return file_error(errno, quoted("change mode of", path));
        }
        if (::utimensat(AT_FDCWD, path.c_str(), Times(info.mtime_ns).both, AT_SYMLINK_NOFOLLOW) != 0) {
            return file_error(errno, quoted("date", path));
        }
        return {};
    }

    Status remove(const std::string& path) override {
        if (std::remove(path.c_str()) == 0 || errno == ENOENT) return {};
        return file_error(errno, quoted("remove", path));
    }

    Status rename(const std::string& from, const std::string& to) override {
        if (std::rename(from.c_str(), to.c_str()) == 0) return {};
        return file_error(errno, quoted("rename", from));
    }

    Result<Room> room(const std::string& path) override { return measure_room(path); }
    Status sync_file_system(const std::string& path) override {
        const Descriptor place(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!place.is_open() || ::syncfs(place.get()) != 0) return file_error(errno, quoted("sync", path));
        return {};
    }

  private:
    static Status require_regular(const Descriptor& file, const std::string& path) {
        struct stat status {};
        if (::fstat(file.get(), &status) != 0) return file_error(errno, quoted("look at", path));
        if (S_ISREG(status.st_mode)) return {};
        return make_error(ErrorCode::kIo, fmt::format("'{}' is no regular file", path));
    }
};

}  // namespace

std::unique_ptr<FileTree> make_posix_file_tree() { return std::make_unique<PosixFileTree>(); }

}  // namespace aeterna::env
