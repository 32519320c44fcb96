// The real file system. write_durable is the one way to replace a file: temporary file, fsync, rename, fsync of
// the directory, so that a crash leaves the old content or the new one.
#include "env/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/paths.h"
#include "env/posix/descriptor_io.h"
#include "env/posix/errors.h"
#include "env/posix/measure_room.h"
#include "env/posix/ports.h"

namespace aeterna::env {
namespace {

namespace fs = std::filesystem;

// Never waits for a writer of a pipe that somebody put in the file's place. Files of /proc and /sys are
// regular ones.
Result<Descriptor> open_regular(const std::string& path) {
    Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.is_open()) return file_error(errno, quoted("read", path));
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return file_error(errno, quoted("read", path));
    if (!S_ISREG(info.st_mode))
        return make_error(ErrorCode::kIo, fmt::format("'{}' is no regular file", path));
    return file;
}

Status sync_directory(const std::string& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.is_open() || ::fsync(directory.get()) != 0) {
        return file_error(errno, quoted("sync directory", path));
    }
    return {};
}

class PosixAppendFile final : public AppendFile {
  public:
    PosixAppendFile(Descriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
    Status append(std::string_view bytes) override { return append_fully(file_.get(), bytes, path_); }
    Status sync() override {
        if (::fdatasync(file_.get()) != 0) return file_error(errno, quoted("sync", path_));
        return {};
    }

  private:
    Descriptor file_;
    std::string path_;
};

class PosixFileLock final : public FileLock {
  public:
    explicit PosixFileLock(Descriptor file) : file_(std::move(file)) {}

  private:
    Descriptor file_;
};

class PosixFiles final : public Files {
  public:
    Result<std::string> read(const std::string& path, std::size_t limit_bytes) override {
        AETERNA_ASSIGN(const Descriptor file, open_regular(path));
        return read_to_end(file.get(), limit_bytes, path);
    }

    Result<std::string> read_tail(const std::string& path, std::size_t limit_bytes) override {
        AETERNA_ASSIGN(const Descriptor file, open_regular(path));
        const off_t size = ::lseek(file.get(), 0, SEEK_END);
        const off_t start = std::max<off_t>(0, size - static_cast<off_t>(limit_bytes));
        if (size < 0) return file_error(errno, quoted("read", path));
        std::string tail(static_cast<std::size_t>(size - start), '\0');
        AETERNA_ASSIGN(const std::size_t got, read_fully(file.get(), static_cast<std::uint64_t>(start), tail, path));
        tail.resize(got);
        return tail;
    }

    Status write_durable(const std::string& path, std::string_view content, int mode, std::optional<Owner> owner) override {
        static std::atomic<unsigned> counter{0};
        const std::string temporary = fmt::format("{}/.{}{}{}-{}", parent_of(path), path.substr(path.rfind('/') + 1), kLeftByWrite,
                                                  ::getpid(), counter++);
        const Status written = write_temporary(temporary, content, mode, owner);
        if (!written) {
            ::unlink(temporary.c_str());
            return written;
        }
        if (::rename(temporary.c_str(), path.c_str()) != 0) {
            const int code = errno;
            ::unlink(temporary.c_str());
            return file_error(code, quoted("replace", path));
        }
        if (auto synced = sync_directory(parent_of(path)); !synced) {
            Error error = std::move(synced).error();
            error.effect = Effect::kUnknown;  // the new content is there, but perhaps not after a power loss
            return error;
        }
        return {};
    }

    Result<std::unique_ptr<AppendFile>> open_append(const std::string& path, int mode) override {
        Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        const bool is_new = file.is_open();
        if (!is_new && errno == EEXIST) {
            file = Descriptor(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        }
        if (!file.is_open()) return file_error(errno, quoted("open", path));
        // A file whose name is lost with the power would lose every synced line in it.
        if (is_new) AETERNA_TRY(sync_directory(parent_of(path)));
        return std::make_unique<PosixAppendFile>(std::move(file), path);
    }

    Status make_directories(const std::string& path, int mode) override {
        const std::string wanted = without_trailing_slashes(path);
        if (wanted.empty()) return make_error(ErrorCode::kIo, "a directory without a name");
        struct stat info {};
        if (::stat(wanted.c_str(), &info) == 0) {
            if (S_ISDIR(info.st_mode)) return {};
            return make_error(ErrorCode::kAlreadyExists, fmt::format("'{}' is no directory", wanted));
        }
        if (const std::string parent = parent_of(wanted); parent != wanted && parent != ".") {
            AETERNA_TRY(make_directories(parent, mode));
        }
        if (::mkdir(wanted.c_str(), static_cast<mode_t>(mode)) != 0) {
            if (errno == EEXIST) return {};
            return file_error(errno, quoted("create directory", wanted));
        }
        // The umask must not decide who may enter.
        return change_mode(wanted, mode);
    }

    Result<std::vector<std::string>> list(const std::string& directory) override {
        std::vector<std::string> names;
        std::error_code code;
        fs::directory_iterator entry(directory, code);
        for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
            names.push_back(entry->path().filename().string());
        }
        if (code) return file_error(code.value(), quoted("list", directory));
        std::sort(names.begin(), names.end());
        return names;
    }

    bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

    Status remove(const std::string& path) override {
        if (std::remove(path.c_str()) == 0 || errno == ENOENT) return {};
        return file_error(errno, quoted("remove", path));
    }

    Status remove_tree(const std::string& path) override {
        const std::string root = without_trailing_slashes(path);
        if (root.empty() || root == "/") return make_error(ErrorCode::kUsage, "refusing to remove '/'");
        std::error_code code;
        fs::remove_all(root, code);
        if (code && code.value() != ENOENT) return file_error(code.value(), quoted("remove", path));
        return {};
    }

    Status change_owner(const std::string& path, Owner owner) override {
        if (::lchown(path.c_str(), owner.uid, owner.gid) == 0) return {};
        return file_error(errno, quoted("change owner of", path));
    }

    Status change_mode(const std::string& path, int mode) override {
        // As change_owner, never through a link: fchmodat(2) has no AT_SYMLINK_NOFOLLOW.
        const Descriptor file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat info {};
        if (!file.is_open() || ::fstat(file.get(), &info) != 0)
            return file_error(errno, quoted("change mode of", path));
        if (S_ISLNK(info.st_mode)) return file_error(ELOOP, quoted("change mode of", path));
        const std::string handle = fmt::format("/proc/self/fd/{}", file.get());
        if (::chmod(handle.c_str(), static_cast<mode_t>(mode)) == 0) return {};
        return file_error(errno, quoted("change mode of", path));
    }

    Result<Owner> owner(const std::string& path) override {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) return file_error(errno, quoted("look at", path));
        return Owner{info.st_uid, info.st_gid};
    }

    std::string canonical(const std::string& path) override {
        std::error_code code;
        const fs::path absolute = fs::absolute(path, code);
        if (code) return path;
        const fs::path resolved = fs::weakly_canonical(absolute, code);
        return without_trailing_slashes(code ? absolute.lexically_normal().string() : resolved.string());
    }

    Result<Room> room(const std::string& path) override { return measure_room(path); }

    Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
        while (true) {
            Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
            if (!file.is_open()) return file_error(errno, quoted("open lock", path));
            if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
                if (errno == EINTR) continue;
                if (errno != EWOULDBLOCK) return file_error(errno, quoted("lock", path));
                return make_error(ErrorCode::kLocked, fmt::format("'{}' is locked", path),
                                  "Another process holds it; wait for it to end.");
            }
            struct stat held {}, present {};
            // Somebody may have removed the file between open and lock: then this lock excludes nobody.
            if (::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &present) == 0 &&
                held.st_ino == present.st_ino && held.st_dev == present.st_dev) {
                return std::make_unique<PosixFileLock>(std::move(file));
            }
        }
    }

    std::optional<std::string> environment_variable(const std::string& name) override {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return std::string(value);
    }

  private:
    static Status write_temporary(const std::string& path, std::string_view content, int mode, const std::optional<Owner>& owner) {
        const Descriptor file(
            ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file.is_open()) return file_error(errno, quoted("write", path));
        if (owner && ::fchown(file.get(), owner->uid, owner->gid) != 0) {
            return file_error(errno, quoted("change owner of", path));
        }
        if (::fchmod(file.get(), static_cast<mode_t>(mode)) != 0) {
            return file_error(errno, quoted("change mode of", path));
        }
        AETERNA_TRY(append_fully(file.get(), content, path));
        if (::fsync(file.get()) != 0) return file_error(errno, quoted("sync", path));
        return {};
    }
};

}  // namespace

std::unique_ptr<Files> make_posix_files() { return std::make_unique<PosixFiles>(); }

}  // namespace aeterna::env
