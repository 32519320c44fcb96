#include "repository/storage/local.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/paths.h"
#include "repository/storage/checks.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kClockName = ".clock";
constexpr int kFileMode = 0600;
constexpr int kDirectoryMode = 0700;
// Writeback that starts early keeps the sync at the end short.
constexpr std::uint64_t kWritebackBytes = 8U << 20;

bool is_code(const Status& status, ErrorCode code) { return !status && status.error().code == code; }

Error explain(Error error, const std::string& root) {
    if (error.code == ErrorCode::kPermission) {
        error.hint = fmt::format("The path '{}' must be writable for this user; read-only, it serves restores.", root);
    } else if (error.code == ErrorCode::kNoSpace) {
        error.hint = fmt::format("Free space below '{}' or prune; what was unfinished has been removed.", root);
    }
    return error;
}

// After a lost sync nobody knows whether the names would survive.
Error unknown(Error error) {
    error.effect = Effect::kUnknown;
    return error;
}

}  // namespace

class LocalStorage::Writer final : public ObjectWriter {
  public:
    Writer(LocalStorage& storage, std::string name, Temporary temporary)
        : storage_(storage), name_(std::move(name)), temporary_(std::move(temporary)) {}
    ~Writer() override {
        if (temporary_.file != nullptr) (void)storage_.files_.remove_file(temporary_.path);
    }

    Status append(std::span<const char> bytes, const env::Context& context) override {
        AETERNA_CHECK(temporary_.file != nullptr);
        AETERNA_TRY(check_running(storage_.clock_, context, name_));
        if (auto written = temporary_.file->write_at(size_, bytes); !written) {
            return explain(std::move(written).error(), storage_.root_);
        }
        size_ += bytes.size();
        if (size_ - handed_over_ >= kWritebackBytes) {
            temporary_.file->start_writeback(handed_over_, size_ - handed_over_);
            handed_over_ = size_;
        }
        return {};
    }

    Status commit(const env::Context& context) override {
        AETERNA_CHECK(temporary_.file != nullptr);
        AETERNA_TRY(check_running(storage_.clock_, context, name_));
        return storage_.publish(temporary_, name_, PutMode::kIfAbsent);
    }

  private:
    LocalStorage& storage_;
    std::string name_;
    Temporary temporary_;
    std::uint64_t size_ = 0;
    std::uint64_t handed_over_ = 0;
};

LocalStorage::LocalStorage(env::FileSystem& files, env::Random& random, const env::Clock& clock, std::string root)
    : files_(files), random_(random), clock_(clock), root_(without_trailing_slashes(std::move(root))) {}

Status LocalStorage::check(const std::string& name, const env::Context& context) const {
    AETERNA_TRY(check_name(name));
    return check_running(clock_, context, name);
}

Status LocalStorage::make_durable_directory(const std::string& path) {
    {
        const std::lock_guard lock(mutex_);
        if (durable_directories_.contains(path)) return {};
    }
    const std::string parent = parent_of(path);
    // The whole chain, also where all is there: whoever made it may have died before it was durable.
    if (parent != path) {
        AETERNA_TRY(make_durable_directory(parent));
        const bool is_above_root = path.size() < root_.size();
        const Status made = files_.make_directory(path, kDirectoryMode);
        const bool was_there = is_code(made, ErrorCode::kAlreadyExists) ||
                               (is_above_root && is_code(made, ErrorCode::kPermission));
        if (!made && !was_there) return made;
        // Up there are directories that others prepared and that we may not even look into.
        const Status synced = files_.sync_directory(parent);
        const bool is_foreign = was_there && path.size() <= root_.size();
        if (!synced && !(is_foreign && is_code(synced, ErrorCode::kPermission))) return synced;
    }
    const std::lock_guard lock(mutex_);
    durable_directories_.insert(path);
    return {};
}

Result<LocalStorage::Temporary> LocalStorage::open_temporary(const std::string& name) {
    const std::string directory = parent_of(path_of(name));
    const std::string path = fmt::format("{}/{}{:016x}", directory, kTemporaryStart, random_.next());
    auto made = make_durable_directory(directory);
    if (!made) return explain(std::move(made).error(), root_);
    auto file = files_.create(path, kFileMode);
    if (!file && file.error().code == ErrorCode::kNotFound) {
        // Somebody removed the directory since: make it anew, once.
        {
            const std::lock_guard lock(mutex_);
            durable_directories_.clear();
        }
        made = make_durable_directory(directory);
        if (!made) return explain(std::move(made).error(), root_);
        file = files_.create(path, kFileMode);
    }
    if (!file) return explain(std::move(file).error(), root_);
    return Temporary{path, std::move(*file)};
}

Status LocalStorage::take_name(const std::string& from, const std::string& to, PutMode mode) {
    Status named = mode == PutMode::kIfAbsent ? files_.rename_new(from, to) : files_.rename_over(from, to);
    if (named) return {};
    if (named.error().code == ErrorCode::kNotFound) {
        return make_error(ErrorCode::kIo, fmt::format("'{}' was removed before it had its name", from),
                          "Another process swept it as unfinished; repeat the command.");
    }
    return named;
}

Status LocalStorage::publish(Temporary& temporary, const std::string& name, PutMode mode) {
    const std::string path = path_of(name);
    Status done = temporary.file->sync_data();
    if (done) done = take_name(temporary.path, path, mode);
    temporary.file.reset();
    if (!done) {
        (void)files_.remove_file(temporary.path);
        // Whoever hears "it is there" builds on it: its name must be durable, whoever wrote it.
        if (is_code(done, ErrorCode::kAlreadyExists)) AETERNA_TRY(files_.sync_directory(parent_of(path)));
        return explain(std::move(done).error(), root_);
    }
    if (auto synced = files_.sync_directory(parent_of(path)); !synced) return unknown(std::move(synced).error());
    return {};
}

Result<std::unique_ptr<ObjectWriter>> LocalStorage::create(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(Temporary temporary, open_temporary(name));
    return std::make_unique<Writer>(*this, name, std::move(temporary));
}

Status LocalStorage::put(const std::string& name, std::span<const char> bytes, PutMode mode,
                         const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(Temporary temporary, open_temporary(name));
    if (auto written = temporary.file->write_at(0, bytes); !written) {
        temporary.file.reset();
        (void)files_.remove_file(temporary.path);
        return explain(std::move(written).error(), root_);
    }
    return publish(temporary, name, mode);
}

Result<std::size_t> LocalStorage::read(const std::string& name, std::uint64_t offset, std::span<char> into,
                                       const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(const std::unique_ptr<env::OpenFile> file, files_.open_for_reading(path_of(name)));
    return file->read_at(offset, into);
}

Result<ObjectInfo> LocalStorage::stat(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    AETERNA_ASSIGN(const env::FileStat found, files_.stat(path_of(name)));
    return ObjectInfo{name, found.bytes, found.modified};
}

Status LocalStorage::remove(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    const std::string path = path_of(name);
    const Status removed = files_.remove_file(path);
    if (!removed && removed.error().code != ErrorCode::kNotFound) return explain(removed.error(), root_);
    // Also when it was missing: whoever removed it may not have come to this sync yet.
    const Status synced = files_.sync_directory(parent_of(path));
    if (is_code(synced, ErrorCode::kNotFound)) return {};
    return synced ? Status() : Status(unknown(synced.error()));
}

Result<std::unique_ptr<env::OpenFile>> LocalStorage::open_clock() {
    const std::string path = fmt::format("{}/{}", root_, kClockName);
    auto file = files_.open_for_writing(path);
    if (file || file.error().code != ErrorCode::kNotFound) return file;
    AETERNA_TRY(make_durable_directory(root_));
    file = files_.create(path, kFileMode);
    if (file || file.error().code != ErrorCode::kAlreadyExists) return file;
    return files_.open_for_writing(path);
}

// The probe file is kept, so that the time can be told on a full disk too. A touch of another process in between
// makes the answer later, never earlier than the call.
Result<WallTime> LocalStorage::now(const env::Context& context) {
    AETERNA_TRY(check_running(clock_, context, "now"));
    auto file = open_clock();
    if (!file) return explain(std::move(file).error(), root_);
    if (auto touched = (*file)->touch(); !touched) return explain(std::move(touched).error(), root_);
    AETERNA_ASSIGN(const env::FileStat stat, (*file)->stat());
    return stat.modified;
}

}  // namespace aeterna::repository
