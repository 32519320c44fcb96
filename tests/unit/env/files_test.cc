#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "real_env.h"

namespace aeterna::env::testing {
namespace {

int mode_of(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return static_cast<int>(info.st_mode & 07777);
}

class FilesTest : public ::testing::Test {
  protected:
    Files& files_ = real().files;
    Directory directory_;
};

TEST_F(FilesTest, WriteDurableReplacesAndLeavesNothingBeside) {
    const std::string path = directory_.file("state");
    ASSERT_TRUE(files_.write_durable(path, "one", 0640));
    ASSERT_TRUE(files_.write_durable(path, "two", 0600));
    EXPECT_EQ(files_.read(path).value(), "two");
    EXPECT_EQ(mode_of(path), 0600);
    EXPECT_EQ(files_.list(directory_.path()).value(), std::vector<std::string>{"state"});
}

TEST_F(FilesTest, AFailedWriteKeepsTheOldContentAndNoTemporaryFile) {
    ASSERT_TRUE(files_.make_directories(directory_.file("taken/inner")));
    EXPECT_FALSE(files_.write_durable(directory_.file("taken"), "x"));
    EXPECT_EQ(files_.list(directory_.path()).value(), std::vector<std::string>{"taken"});
    EXPECT_EQ(files_.write_durable(directory_.file("no/such"), "x").error().code, ErrorCode::kNotFound);
}

TEST_F(FilesTest, ReadsWithinItsLimitOnly) {
    const std::string path = directory_.file("big");
    ASSERT_TRUE(files_.write_durable(path, std::string(1000, 'x') + "end"));
    EXPECT_EQ(files_.read(path, 1003).value().size(), 1003U);
    EXPECT_EQ(files_.read(path, 1002).error().code, ErrorCode::kIo);
    EXPECT_EQ(files_.read_tail(path, 3).value(), "end");
    EXPECT_EQ(files_.read_tail(path, 5000).value().size(), 1003U);
    EXPECT_EQ(files_.read(directory_.file("none")).error().code, ErrorCode::kNotFound);
}

TEST_F(FilesTest, NeitherWaitsForAPipeNorFollowsALinkWithRights) {
    const std::string pipe = directory_.file("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(files_.read(pipe)) << "reading a pipe without a writer would wait for ever";
    EXPECT_FALSE(files_.read(directory_.path()));
    const std::string target = directory_.file("target"), link = directory_.file("link");
    ASSERT_TRUE(files_.write_durable(target, "secret", 0600));
    ASSERT_EQ(::symlink(target.c_str(), link.c_str()), 0);
    EXPECT_FALSE(files_.change_mode(link, 0644));
    EXPECT_EQ(mode_of(target), 0600);
}

TEST_F(FilesTest, AppendsAfterWhatIsThere) {
    const std::string path = directory_.file("log");
    for (const char* line : {"a\n", "b\n"}) {
        const auto file = files_.open_append(path);
        ASSERT_TRUE(file);
        ASSERT_TRUE((*file)->append(line));
        ASSERT_TRUE((*file)->sync());
    }
    EXPECT_EQ(files_.read(path).value(), "a\nb\n");
}

TEST_F(FilesTest, RemoveTreeNeverFollowsLinks) {
    ASSERT_TRUE(files_.make_directories(directory_.file("outside")));
    ASSERT_TRUE(files_.write_durable(directory_.file("outside/precious"), "x"));
    ASSERT_TRUE(files_.make_directories(directory_.file("tree/deep")));
    std::filesystem::create_symlink(directory_.file("outside"), directory_.file("tree/deep/link"));
    std::filesystem::create_symlink(directory_.file("outside"), directory_.file("link"));
    EXPECT_TRUE(files_.remove_tree(directory_.file("tree")));
    EXPECT_TRUE(files_.remove_tree(directory_.file("link/")));
    EXPECT_FALSE(files_.exists(directory_.file("tree")));
    EXPECT_FALSE(files_.exists(directory_.file("link")));
    EXPECT_TRUE(files_.exists(directory_.file("outside/precious")));
    EXPECT_TRUE(files_.remove_tree(directory_.file("tree")));
    EXPECT_FALSE(files_.remove_tree("/"));
    EXPECT_FALSE(files_.remove_tree(""));
}

TEST_F(FilesTest, MakesParentsWithTheWantedModeWhateverTheUmask) {
    const mode_t before = ::umask(077);
    EXPECT_TRUE(files_.make_directories(directory_.file("a/b/"), 0755));
    EXPECT_TRUE(files_.make_directories(directory_.file("a/b"), 0700));
    ::umask(before);
    EXPECT_EQ(mode_of(directory_.file("a")), 0755);
    EXPECT_EQ(mode_of(directory_.file("a/b")), 0755);
    ASSERT_TRUE(files_.write_durable(directory_.file("file"), ""));
    EXPECT_EQ(files_.make_directories(directory_.file("file")).error().code, ErrorCode::kAlreadyExists);
}

TEST_F(FilesTest, LocksExcludeEachOtherUntilReleased) {
    const std::string path = directory_.file("lock");
    auto held = files_.lock(path);
    ASSERT_TRUE(held);
    EXPECT_EQ(files_.lock(path).error().code, ErrorCode::kLocked);
    held->reset();
    EXPECT_TRUE(files_.lock(path));
}

TEST_F(FilesTest, CanonicalResolvesLinksAsFarAsThePathExists) {
    ASSERT_TRUE(files_.make_directories(directory_.file("real")));
    std::filesystem::create_symlink(directory_.file("real"), directory_.file("alias"));
    const std::string base = std::filesystem::canonical(directory_.path()).string();
    EXPECT_EQ(files_.canonical(directory_.file("alias/../alias/none/./x/")), base + "/real/none/x");
}

TEST_F(FilesTest, MeasuresTheRoomBelowAPathThatIsNotThereYet) {
    const auto here = files_.room(directory_.path());
    const auto below = files_.room(directory_.file("not/there/yet"));
    ASSERT_TRUE(here && below);
    EXPECT_EQ(here->file_system, below->file_system);
    EXPECT_GT(here->free_bytes, 0U);
    EXPECT_GE(here->total_bytes, here->free_bytes);
    EXPECT_NE(files_.room("/proc")->file_system, here->file_system);
}

TEST_F(FilesTest, MissingIsRemovedAlready) {
    EXPECT_TRUE(files_.remove(directory_.file("none")));
    ASSERT_TRUE(files_.make_directories(directory_.file("full/inner")));
    EXPECT_FALSE(files_.remove(directory_.file("full")));
}

}  // namespace
}  // namespace aeterna::env::testing
