// The whole repository on a disk that forgets: the power is cut at every call of a backup, of appends to a log, of a key
// change and of a prune. What had been acknowledged is there and whole, and nothing that is there is broken.
#include <gtest/gtest.h>

#include "power_loss_disk.h"
#include "repository/log_segments.h"
#include "repository/pipeline/prune.h"
#include "repository/storage/local.h"
#include "unit/repository/rig.h"

namespace aeterna::repository::testing {
namespace {

const std::string kPlace = "/mnt/repository";

// One call at a time: the disk that forgets is for one thread.
class OneAtATime final : public env::FileSystem {
    template <class Work>
    auto locked(Work work) {
        const std::lock_guard lock(mutex_);
        return work();
    }
    template <class Work>
    Result<std::unique_ptr<env::OpenFile>> wrap(Work work) {
        auto opened = locked(work);
        if (!opened) return opened.error();
        return std::unique_ptr<env::OpenFile>(new File(*this, std::move(*opened)));
    }

  public:
    explicit OneAtATime(env::FileSystem& inner) : inner_(inner) {}
    Result<std::unique_ptr<env::OpenFile>> open_for_reading(const std::string& path) override {
        return wrap([&] { return inner_.open_for_reading(path); });
    }
    Result<std::unique_ptr<env::OpenFile>> open_for_writing(const std::string& path) override {
        return wrap([&] { return inner_.open_for_writing(path); });
    }
    Result<std::unique_ptr<env::OpenFile>> create(const std::string& path, int mode) override {
        return wrap([&] { return inner_.create(path, mode); });
    }
    Status make_directory(const std::string& path, int mode) override {
        return locked([&] { return inner_.make_directory(path, mode); });
    }
    Status rename_new(const std::string& from, const std::string& to) override {
        return locked([&] { return inner_.rename_new(from, to); });
    }
    Status rename_over(const std::string& from, const std::string& to) override {
        return locked([&] { return inner_.rename_over(from, to); });
    }
    Status remove_file(const std::string& path) override {
        return locked([&] { return inner_.remove_file(path); });
    }
    Result<env::FileStat> stat(const std::string& path) override {
        return locked([&] { return inner_.stat(path); });
    }
    Result<std::vector<env::DirectoryEntry>> list(const std::string& directory) override {
        return locked([&] { return inner_.list(directory); });
    }
    Status sync_directory(const std::string& path) override {
        return locked([&] { return inner_.sync_directory(path); });
    }

  private:
    class File final : public env::OpenFile {
      public:
        File(OneAtATime& owner, std::unique_ptr<env::OpenFile> inner) : owner_(owner), inner_(std::move(inner)) {}
        Status write_at(std::uint64_t offset, std::span<const char> bytes) override {
            return owner_.locked([&] { return inner_->write_at(offset, bytes); });
        }
        Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
            return owner_.locked([&] { return inner_->read_at(offset, into); });
        }
        void start_writeback(std::uint64_t, std::uint64_t) override {}
        Status sync_data() override {
            return owner_.locked([&] { return inner_->sync_data(); });
        }
        Status touch() override {
            return owner_.locked([&] { return inner_->touch(); });
        }
        Result<env::FileStat> stat() override {
            return owner_.locked([&] { return inner_->stat(); });
        }

      private:
        OneAtATime& owner_;
        std::unique_ptr<env::OpenFile> inner_;
    };

    env::FileSystem& inner_;
    std::mutex mutex_;
};

// A repository's storage on such a disk.
struct Place {
    explicit Place(PowerLossDisk& disk) : files(disk), storage(files, real().random, real().clock, kPlace) {}
    OneAtATime files;
    LocalStorage storage;
};

class PowerLossPipeline : public ::testing::Test {
  protected:
    PowerLossPipeline() {
        write_file(from_ + "/same", noise(200000, 1));
        change(1);
        EXPECT_TRUE(disk_.make_directory("/mnt", 0755) && disk_.sync_directory("/"));
        Place place(disk_);
        EXPECT_TRUE(Repository::init(place.storage, key_, {}, real_ports(), forever()));
        before_ = back_up(place, from_).value().id;
        fs::copy(from_, old_, fs::copy_options::recursive);
    }
    void change(std::uint64_t state) {
        write_file(from_ + "/table", database_file(16, state));
        write_file(from_ + "/conf/a", rows(500, state));
    }
    Result<std::unique_ptr<Repository>> open(Place& place, const Credential& key, SessionKind kind) {
        AETERNA_ASSIGN(auto repository, Repository::open(place.storage, key, real_ports(), forever()));
        state_ = std::make_unique<Directory>();
        AETERNA_TRY(repository->open_index(state_->path(), kind, forever()));
        return repository;
    }
    Result<Backup> back_up(Place& place, const std::string& from) {
        AETERNA_ASSIGN(const auto repository, open(place, key_, SessionKind::kWrite));
        AETERNA_ASSIGN(const BackupResult done, Rig::back_up_with(*repository, from, 1));
        return done.backup;
    }

    // What was acknowledged until the power went.
    struct Acknowledged {
        std::string backup;
        std::uint64_t log_end = 0;
        bool has_key = false, is_pruned = false;
    };
    Acknowledged work(Place& place) {
        Acknowledged acknowledged;
        if (const auto done = back_up(place, from_)) acknowledged.backup = done->id;
        else return acknowledged;
        {
            const auto repository = open(place, key_, SessionKind::kWrite);
            const auto log = repository ? LogWriter::open(**repository, "t1", forever())
                                        : Result<std::unique_ptr<LogWriter>>(repository.error());
            for (int i = 0; log && i < 3; ++i) {
                if (!(*log)->append(acknowledged.log_end, bytes_of(std::string(100, 'x')), forever())) return acknowledged;
                acknowledged.log_end += 100;
            }
            if (!log || !merge_log(**repository, "t1", LogGrowth::kHasEnded, forever())) return acknowledged;
            acknowledged.has_key = (*repository)->add_key(second_, "second", {}, forever()).has_value();
        }
        PruneRequest request;
        request.policy.last = 1;
        const auto repository = open(place, key_, SessionKind::kPrune);
        acknowledged.is_pruned = repository && prune(**repository, request, forever());
        return acknowledged;
    }

    void expect_kept(PowerLossDisk& disk, const Acknowledged& acknowledged, const std::string& note) {
        Place place(disk);
        const auto repository = open(place, key_, SessionKind::kRead);
        ASSERT_TRUE(repository) << note << ": " << repository.error().to_string();
        const auto report = check_repository(**repository, {100}, forever());
        ASSERT_TRUE(report) << note << ": " << report.error().to_string();
        EXPECT_EQ(report->problem_count, 0U) << note << ": " << report->problems.front();
        const auto ids = (*repository)->catalog().ids(forever()).value();
        const bool has_new = !acknowledged.backup.empty();
        EXPECT_TRUE(!has_new || std::count(ids.begin(), ids.end(), acknowledged.backup) == 1) << note;
        ASSERT_FALSE(ids.empty()) << note;
        EXPECT_TRUE(!acknowledged.is_pruned || ids.size() == 1) << note;
        EXPECT_TRUE(has_new || ids.front() == before_) << note;
        for (const std::string& id : ids) {
            const Directory parent;
            RestoreRequest request;
            request.backup = (*repository)->catalog().read(id, forever()).value();
            request.into = parent.file("out");
            const auto restored = restore_tree(**repository, request, forever());
            ASSERT_TRUE(restored) << note << ": " << restored.error().to_string();
            const std::string& like = id == before_ ? old_ : from_;
            EXPECT_EQ(read_file(request.into + "/table"), read_file(like + "/table")) << note;
            EXPECT_EQ(read_file(request.into + "/conf/a"), read_file(like + "/conf/a")) << note;
        }
        if (acknowledged.log_end > 0) {
            const auto ranges = log_ranges(**repository, "t1", LogReading::kEverything, forever());
            ASSERT_TRUE(ranges) << note << ": " << ranges.error().to_string();
            ASSERT_EQ(ranges->size(), 1U) << note << ": " << (ranges->empty() ? 0 : ranges->front().to) << " of "
                                          << acknowledged.log_end;
            EXPECT_GE(ranges->front().to, acknowledged.log_end) << note;
        }
        if (acknowledged.has_key) {
            EXPECT_TRUE(Repository::open(place.storage, second_, real_ports(), forever())) << note;
        }
    }

    PowerLossDisk disk_;
    Directory parent_;
    const std::string from_ = parent_.file("from"), old_ = parent_.file("old");
    const Credential key_ = make_key(real().random), second_ = make_key(real().random);
    std::unique_ptr<Directory> state_;
    std::string before_;
};

TEST_F(PowerLossPipeline, AtAnyCallWhatWasAcknowledgedStays) {
    change(2);
    bool was_cut = true;
    std::uint64_t cut = 0;
    for (; was_cut; ++cut) {
        const auto disk = disk_.survive({true, true});
        disk->cut_at(cut);
        Acknowledged acknowledged;
        {
            Place place(*disk);
            acknowledged = work(place);
        }
        was_cut = disk->calls() > cut;
        const std::vector<Survival> survivals = {{false, false}, {true, false}, {false, false, cut + 1}};
        const Survival& survival = survivals[cut % survivals.size()];
        const auto survivor = disk->survive(survival);
        expect_kept(*survivor, acknowledged, "cut at " + std::to_string(cut) + ", " + survival.describe());
        if (HasFatalFailure()) return;
        EXPECT_TRUE(was_cut || (acknowledged.is_pruned && acknowledged.has_key));
    }
    EXPECT_GT(cut, 80U);
}

}  // namespace
}  // namespace aeterna::repository::testing
