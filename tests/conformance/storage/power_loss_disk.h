// A disk that forgets: env::FileSystem in memory that knows what has been made durable and what only the kernel knows.
// Rules, as strict as POSIX allows: a file's content is durable after sync_data of that file; the names in a directory
// are durable after sync_directory of that directory, and only as far as the directory's own name is. What is not
// durable may survive a power loss all the same, name by name and file by file: `survive` decides.
// Every call that changes or syncs something counts as one cut point: from `cut_at` on, all calls fail.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "env/file_system.h"

namespace aeterna::repository::testing {

// What becomes of things that were not synced.
struct Survival {
    bool names = false;
    bool contents = false;
    std::uint64_t seed = 0;  // not 0: a coin per name and per file instead
    [[nodiscard]] std::string describe() const;
};

class PowerLossDisk final : public env::FileSystem {
  public:
    PowerLossDisk();

    // Which calls do not do what they should: to see that the suite notices.
    struct Lies {
        bool sync_data = false;
        bool sync_directory = false;
    };

    void cut_at(std::uint64_t call) { cut_at_ = call; }
    void never_cut() { cut_at_ = UINT64_MAX; }
    [[nodiscard]] std::uint64_t calls() const { return calls_; }
    void lie(Lies lies) { lies_ = lies; }
    // From this call on (cut points are counted), nothing can be allocated; nothing: never.
    void full_from(std::optional<std::uint64_t> call) { full_from_ = call; }
    // The disk after the power came back.
    [[nodiscard]] std::unique_ptr<PowerLossDisk> survive(const Survival& survival) const;
    [[nodiscard]] std::size_t count_files() const;

    Result<std::unique_ptr<env::OpenFile>> open_for_reading(const std::string& path) override;
    Result<std::unique_ptr<env::OpenFile>> open_for_writing(const std::string& path) override;
    Result<std::unique_ptr<env::OpenFile>> create(const std::string& path, int mode) override;
    Status make_directory(const std::string& path, int mode) override;
    Status rename_new(const std::string& from, const std::string& to) override;
    Status rename_over(const std::string& from, const std::string& to) override;
    Status remove_file(const std::string& path) override;
    Result<env::FileStat> stat(const std::string& path) override;
    Result<std::vector<env::DirectoryEntry>> list(const std::string& directory) override;
    Status sync_directory(const std::string& path) override;

  private:
    struct Node;
    using NodePtr = std::shared_ptr<Node>;
    struct Node {
        bool is_directory = false;
        std::string content;
        std::string durable;
        std::map<std::string, NodePtr> names;
        std::map<std::string, NodePtr> durable_names;
        WallTime modified{};
    };
    class File;

    [[nodiscard]] NodePtr find(const std::string& path) const;
    [[nodiscard]] Result<NodePtr> directory_of(const std::string& path) const;
    Status count_call(bool allocates);
    Status rename(const std::string& from, const std::string& to, bool may_replace);
    [[nodiscard]] Result<std::unique_ptr<env::OpenFile>> open(const std::string& path);
    [[nodiscard]] WallTime tick();

    NodePtr root_;
    std::uint64_t calls_ = 0;
    std::uint64_t cut_at_ = UINT64_MAX;
    std::optional<std::uint64_t> full_from_;
    Lies lies_;
    std::int64_t ticks_ = 0;
};

}  // namespace aeterna::repository::testing
