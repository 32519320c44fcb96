// A repository in memory over the real file tree, and trees of files to put into it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "env/posix/file_tree.h"
#include "env/posix/posix_env.h"
#include "repository/pipeline/backup.h"
#include "repository/pipeline/check.h"
#include "repository/pipeline/restore.h"
#include "repository/storage/memory.h"
#include "samples.h"

namespace aeterna::repository::testing {

namespace fs = std::filesystem;

inline const env::Env& real() {
    static env::PosixEnv env(env::LogFormat::kText, LogLevel::kError);
    return env.env();
}

// The real clock, that may be set forward.
class ShiftedClock final : public env::Clock {
  public:
    Duration shift{};
    MonoTime now() const override { return real().clock.now(); }
    WallTime wall_now() const override {
        return real().clock.wall_now() + std::chrono::duration_cast<WallTime::duration>(shift);
    }
    bool sleep_until(MonoTime until, const std::stop_token& stop) override { return real().clock.sleep_until(until, stop); }
};

inline Ports real_ports(env::Clock& clock = real().clock) {
    static const std::unique_ptr<env::FileTree> tree = env::make_posix_file_tree();
    return {clock, real().random, real().threads, real().files, *tree};
}

inline env::Context forever() { return {MonoTime::max(), {}, "test"}; }

class Directory {
  public:
    Directory() {
        std::string pattern = "/var/tmp/aeterna-test-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~Directory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

inline std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
}

inline void write_file(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
}

inline void overwrite_at(const std::string& path, std::size_t offset, const std::string& bytes) {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream << bytes;
}

// Path → everything that a restore has to bring back, as text.
inline std::map<std::string, std::string> picture_of(const std::string& root) {
    std::map<std::string, std::string> picture;
    const auto add = [&](const std::string& path, const std::string& name) {
        struct stat info {};
        EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
        std::ostringstream text;
        text << std::oct << info.st_mode << std::dec << ' ' << info.st_uid << ':' << info.st_gid << ' '
             << info.st_mtim.tv_sec << '.' << info.st_mtim.tv_nsec << ' ';
        if (S_ISREG(info.st_mode)) text << info.st_size << ' ' << std::hash<std::string>()(read_file(path));
        if (S_ISLNK(info.st_mode)) text << fs::read_symlink(path).string();
        picture[name] = text.str();
    };
    add(root, "");
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        add(entry.path().string(), fs::relative(entry.path(), root).string());
    }
    return picture;
}

// The first difference, or nothing: readable where two maps of thousands are not.
inline std::string difference(const std::string& left_root, const std::string& right_root) {
    const auto left = picture_of(left_root), right = picture_of(right_root);
    for (const auto& [path, text] : left) {
        const auto found = right.find(path);
        if (found == right.end()) return "missing: " + path;
        if (found->second != text) return path + ": " + text + " became " + found->second;
    }
    return left.size() == right.size() ? "" : "there is more than there was";
}

// A page that PostgreSQL would recognise as its own.
inline std::string database_page(std::uint64_t seed) {
    std::string page = rows(4096, seed) + noise(4096, seed);
    const std::uint16_t words[] = {0, 28, 8000, 8192, 8192 | 4};
    std::memset(page.data(), 0, 24);
    for (std::size_t i = 0; i < 5; ++i) std::memcpy(page.data() + 10 + 2 * i, &words[i], 2);
    return page;
}

inline std::string database_file(std::size_t pages, std::uint64_t seed) {
    std::string content;
    for (std::size_t i = 0; i < pages; ++i) content += database_page(seed * 100000 + i);
    return content;
}

// Pages, a stream, and small files.
inline void write_sample_tree(const std::string& root, std::size_t pages = 300) {
    write_file(root + "/table", database_file(pages, 1));
    write_file(root + "/dump", noise(1 << 20, 2));
    for (std::uint64_t i = 0; i < 20; ++i) write_file(root + "/conf/" + std::to_string(i), rows(500, i));
}

class Rig {
  public:
    explicit Rig(HashKind hash = HashKind::kSha256) { init(memory, hash); }
    explicit Rig(Storage& elsewhere) { init(elsewhere, HashKind::kSha256); }
    [[nodiscard]] const Credential& key() const { return key_; }

    std::unique_ptr<Repository> open() { return open_at(memory).value(); }
    Result<std::unique_ptr<Repository>> open_at(Storage& storage, SessionKind kind = SessionKind::kWrite) {
        AETERNA_ASSIGN(auto repository, Repository::open(storage, key_, real_ports(clock), forever()));
        AETERNA_TRY(repository->open_index(state.path(), kind, forever()));
        return repository;
    }
    Result<BackupResult> back_up_at(Storage& storage, const std::string& from) {
        AETERNA_ASSIGN(const auto repository, open_at(storage));
        return back_up_with(*repository, from, workers);
    }
    static Result<BackupResult> back_up_with(Repository& repository, const std::string& from, unsigned workers = 2) {
        BackupRequest request;
        request.from = from;
        request.header.kind = "files";
        request.header.name = "data";
        request.workers = workers;
        return back_up_tree(repository, request, forever());
    }
    BackupResult back_up(const std::string& from) {
        auto result = back_up_at(memory, from);
        EXPECT_TRUE(result) << result.error().to_string();
        return result ? *result : BackupResult{};
    }
    Result<RestoreResult> restore(const Backup& backup, const std::string& into) {
        const auto repository = open();
        RestoreRequest request;
        request.backup = backup;
        request.into = into;
        return restore_tree(*repository, request, forever());
    }
    CheckReport check(unsigned read_percent = 100) {
        const auto repository = open();
        auto report = check_repository(*repository, {read_percent}, forever());
        EXPECT_TRUE(report) << report.error().to_string();
        return report ? *report : CheckReport{};
    }
    // "" when `backup` restores to what is in `from`.
    std::string restored_difference(const Backup& backup, const std::string& from) {
        const Directory parent;
        const auto restored = restore(backup, parent.file("out"));
        return restored ? difference(from, parent.file("out")) : restored.error().to_string();
    }

    ShiftedClock clock;
    MemoryStorage memory{clock};
    Directory state;
    unsigned workers = 2;

  private:
    void init(Storage& storage, HashKind hash) {
        InitOptions options;
        options.hash = hash;
        const Status made = Repository::init(storage, key_, options, real_ports(), forever());
        EXPECT_TRUE(made) << made.error().to_string();
    }
    const Credential key_ = make_key(real().random);
};

}  // namespace aeterna::repository::testing
