// Storage in a directory. An object is a file of the same name; what is unfinished is '.tmp-…' beside it, and
// '.clock' tells the file system's time. Order of every write: content (fdatasync), name (rename), directory (fsync),
// and before the first name in a directory the directories above it. What `list` reports is durable too: it syncs
// each directory before it reports what is in it, because another process may be between name and sync.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "env/clock.h"
#include "env/file_system.h"
#include "repository/storage/storage.h"

namespace aeterna::repository {

class LocalStorage final : public Storage {
  public:
    // `root` is made, with its parents, by the first write. Writers must not outlive the storage.
    LocalStorage(env::FileSystem& files, env::Random& random, const env::Clock& clock, std::string root);

    [[nodiscard]] std::string describe() const override { return root_; }
    Result<std::unique_ptr<ObjectWriter>> create(const std::string& name, const env::Context& context) override;
    Status put(const std::string& name, std::span<const char> bytes, PutMode mode,
               const env::Context& context) override;
    Result<std::size_t> read(const std::string& name, std::uint64_t offset, std::span<char> into,
                             const env::Context& context) override;
    Result<ObjectInfo> stat(const std::string& name, const env::Context& context) override;
    // Holds the entries of one directory per level at a time.
    Status list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                const env::Context& context) override;
    Status remove(const std::string& name, const env::Context& context) override;
    // kPermission where the path is read-only: there is no clock without a write.
    Result<WallTime> now(const env::Context& context) override;
    Result<std::size_t> sweep_unfinished(WallTime older_than, const env::Context& context) override;

  private:
    // No object's name begins with a '.'.
    static constexpr std::string_view kTemporaryStart = ".tmp-";

    class Writer;
    struct Temporary {
        std::string path;
        std::unique_ptr<env::OpenFile> file;
    };
    struct Walk;

    Status check(const std::string& name, const env::Context& context) const;
    [[nodiscard]] std::string path_of(const std::string& name) const { return root_ + "/" + name; }
    [[nodiscard]] Result<Temporary> open_temporary(const std::string& name);
    // Makes `path` and what is missing above it; their names are durable when it returns.
    Status make_durable_directory(const std::string& path);
    // Content first, then the name. The temporary file is gone or named afterwards.
    Status publish(Temporary& temporary, const std::string& name, PutMode mode);
    Status take_name(const std::string& from, const std::string& to, PutMode mode);
    Status walk(const std::string& below, Walk& walk);
    Status sweep(const std::string& below, WallTime older_than, std::size_t& count, const env::Context& context);
    [[nodiscard]] Result<std::unique_ptr<env::OpenFile>> open_clock();

    env::FileSystem& files_;
    env::Random& random_;
    const env::Clock& clock_;
    const std::string root_;
    std::mutex mutex_;
    std::set<std::string> durable_directories_;
};

}  // namespace aeterna::repository
