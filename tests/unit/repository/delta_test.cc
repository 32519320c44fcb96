// Restores that take what is there already from another state of the tree.
#include "rig.h"

namespace aeterna::repository::testing {
namespace {

constexpr std::size_t kPages = 300;

class DeltaTest : public ::testing::Test {
  protected:
    DeltaTest() {
        write_sample_tree(source(), kPages);
        fs::create_directories(source() + "/empty");
        fs::create_symlink("conf/1", source() + "/link");
        backup_ = rig_.back_up(source()).backup;
    }
    [[nodiscard]] std::string source() const { return place_.file("source"); }
    [[nodiscard]] std::string other() const { return place_.file("other"); }

    // Another state: three pages differ, a file is longer, one is gone, some are new, a directory is where a file was.
    void make_other() const {
        fs::copy(source(), other(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        for (const std::size_t page : {0, 7, 299})
            overwrite_at(other() + "/table", page * kPageBytes, database_page(777 + page));
        write_file(other() + "/dump", read_file(other() + "/dump") + "longer");
        fs::remove(other() + "/conf/3");
        fs::remove(other() + "/conf/4");
        write_file(other() + "/conf/4/inside", "x");
        write_file(other() + "/conf.new/strange", "x");
        write_file(other() + "/zzz", "x");
    }
    Result<RestoreResult> restore(RestoreRequest request) {
        const auto repository = rig_.open();
        request.backup = backup_;
        return restore_tree(*repository, request, forever());
    }
    [[nodiscard]] static std::uint64_t kept_of_large_files() { return (kPages - 3) * kPageBytes + (1 << 20); }
    // But for those that make_other() takes away.
    [[nodiscard]] std::uint64_t kept_of_small_files() const {
        std::uint64_t bytes = 0;
        for (const auto& entry : fs::directory_iterator(source() + "/conf")) bytes += entry.file_size();
        return bytes - fs::file_size(source() + "/conf/3") - fs::file_size(source() + "/conf/4");
    }

    Directory place_;
    Rig rig_;
    Backup backup_;
};

TEST_F(DeltaTest, TakesFromAnotherDirectoryWhatItHas) {
    make_other();
    const auto before = picture_of(other());
    RestoreRequest request;
    request.into = place_.file("into");
    request.delta_from = other();
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(restored->kept_bytes, kept_of_large_files());
    EXPECT_EQ(difference(source(), request.into), "");
    EXPECT_EQ(picture_of(other()), before);
}

TEST_F(DeltaTest, TurnsAnotherStateIntoTheBackups) {
    make_other();
    RestoreRequest request;
    request.into = other();
    const auto refused = restore(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kGuardRefused);
    request.replaces = true;
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(restored->kept_bytes, kept_of_large_files() + kept_of_small_files());
    EXPECT_EQ(difference(source(), other()), "");
}

// Killed when it had written its marker and nothing else; whoever goes on does not know that it was one.
TEST_F(DeltaTest, OneThatWasCutOffIsGoneOnWithByAnyRestore) {
    make_other();
    RestoreRequest request;
    request.into = other();
    request.replaces = true;
    std::stop_source stop;
    request.progress = [&](const Progress&) { stop.request_stop(); };
    const auto repository = rig_.open();
    request.backup = backup_;
    ASSERT_FALSE(restore_tree(*repository, request, {MonoTime::max(), stop.get_token(), "test"}));
    write_file(other() + "/old", "as if it had not come to that");
    request = {};
    request.into = other();
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(difference(source(), other()), "");
}

TEST_F(DeltaTest, WhoIsNoLongerWantedDoesNotMakeItUsable) {
    RestoreRequest request;
    request.into = other();
    request.last = {{"first", "", 0600}, {"usable", "", 0600}};
    request.may_go_on = [&]() -> Status {
        if (!fs::exists(other() + "/first")) return {};
        return make_error(ErrorCode::kCancelled, "who has started it is gone");
    };
    EXPECT_EQ(restore(request).error().message, "who has started it is gone");
    EXPECT_FALSE(fs::exists(other() + "/usable"));
    request.may_go_on = {};
    ASSERT_TRUE(restore(request)) << "gone on with";
    EXPECT_TRUE(fs::exists(other() + "/usable"));
}

// As Patroni does that has lost sight of one and begins another.
TEST_F(DeltaTest, WhoseDirectoryHasGoneToAnotherRestoreEnds) {
    for (const bool is_begun_anew : {false, true}) {
        RestoreRequest request;
        request.into = other();
        request.last = {{"usable", "", 0600}};
        request.progress = [&](const Progress&) {
            fs::remove_all(other());
            if (is_begun_anew) write_file(other() + "/" + kRestoreMarker, backup_.id);
            fs::create_directories(other());
        };
        EXPECT_FALSE(restore(request));
        EXPECT_FALSE(fs::exists(other() + "/usable")) << is_begun_anew;
        fs::remove_all(other());
    }
}

// What somebody has made in a directory whose restore was killed when only its marker was left to go, stays.
TEST_F(DeltaTest, OneThatWasNoneIsGoneOnWithAndLeavesStrangersAlone) {
    RestoreRequest request;
    request.into = other();
    ASSERT_TRUE(restore(request));
    write_file(other() + "/" + kRestoreMarker, backup_.id);
    write_file(other() + "/mine", "precious");
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(read_file(other() + "/mine"), "precious");
    EXPECT_FALSE(fs::exists(other() + "/" + kRestoreMarker));
}

TEST_F(DeltaTest, LeavesASmallFileThatIsWhatItShouldBe) {
    fs::copy(source(), other(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    const std::string same = other() + "/conf/1", changed = other() + "/conf/2", grown = other() + "/conf/3";
    fs::create_hard_link(same, place_.file("same"));
    overwrite_at(changed, 0, "?");
    write_file(grown, read_file(grown) + "x");
    fs::permissions(same, fs::perms::owner_read);
    RestoreRequest request;
    request.into = other();
    request.replaces = true;
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(difference(source(), other()), "");
    EXPECT_EQ(fs::hard_link_count(same), 2U) << "it was written anew";
}

TEST_F(DeltaTest, WritesAHoleWhereTheOldStateHasBytes) {
    fs::remove_all(source());
    write_file(source() + "/table", database_file(40, 1) + std::string(60 * kPageBytes, '\0') + database_file(200, 2));
    backup_ = rig_.back_up(source()).backup;
    fs::copy(source(), other(), fs::copy_options::recursive);
    overwrite_at(other() + "/table", 50 * kPageBytes, database_file(10, 3));
    fs::resize_file(other() + "/table", 290 * kPageBytes);
    RestoreRequest request;
    request.into = other();
    request.replaces = true;
    const auto restored = restore(request);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(restored->kept_bytes, 280 * kPageBytes);
    EXPECT_EQ(difference(source(), other()), "");
}

// What makes the old state usable goes first, so that a restore that was cut off leaves neither state.
TEST_F(DeltaTest, LastFilesGoFirst) {
    make_other();
    RestoreRequest request;
    request.into = other();
    request.replaces = true;
    request.last = {{"conf/1", "made", 0600}};
    std::stop_source stop;
    request.progress = [&](const Progress&) { stop.request_stop(); };
    const auto repository = rig_.open();
    request.backup = backup_;
    ASSERT_FALSE(restore_tree(*repository, request, {MonoTime::max(), stop.get_token(), "test"}));
    EXPECT_TRUE(fs::exists(other() + "/" + kRestoreMarker));
    EXPECT_FALSE(fs::exists(other() + "/conf/1"));
}

}  // namespace
}  // namespace aeterna::repository::testing
