// The local storage on the real file system, where it differs from the others.
#include "repository/storage/local.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "env/posix/file_system.h"
#include "unit/env/real_env.h"

namespace aeterna::repository {
namespace {

using env::testing::Directory;
using env::testing::real;
using env::testing::within;

std::span<const char> view(std::string_view text) { return {text.data(), text.size()}; }

class LocalStorageTest : public ::testing::Test {
  protected:
    LocalStorage open(const std::string& root) { return {*files, real().random, real().clock, root}; }
    static std::vector<std::string> names(LocalStorage& storage) {
        std::vector<std::string> found;
        EXPECT_TRUE(storage.list("", [&](const ObjectInfo& info) {
            found.push_back(info.name);
            return true;
        }, within(10s)));
        return found;
    }

    std::unique_ptr<env::FileSystem> files = env::make_posix_file_system();
    Directory place;
};

TEST_F(LocalStorageTest, FilesAndDirectoriesAreTheOwnersAlone) {
    LocalStorage storage = open(place.file("a/repository//"));
    EXPECT_EQ(storage.describe(), place.file("a/repository"));
    ASSERT_TRUE(storage.put("data/ab/x", view("x"), PutMode::kIfAbsent, within(10s)));
    struct stat info {};
    ASSERT_EQ(::stat(place.file("a/repository/data/ab/x").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600U);
    ASSERT_EQ(::stat(place.file("a/repository/data/ab").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700U);
}

// Nobody may write in /sys, not even root; what is there to read can be read.
TEST_F(LocalStorageTest, APathThatCannotBeWrittenSaysSo) {
    LocalStorage storage = open("/sys/kernel");
    for (const Status& refused : {storage.put("config", view("x"), PutMode::kIfAbsent, within(10s)),
                                  Status(storage.create("data/pack", within(10s)).error()),
                                  Status(storage.now(within(10s)).error())}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::kPermission) << refused.error().to_string();
        EXPECT_NE(refused.error().hint.find("/sys/kernel"), std::string::npos);
    }
    LocalStorage inside = open("/proc/self");
    std::string into(4, '\0');
    EXPECT_TRUE(inside.read("status", 0, into, within(10s)));
    EXPECT_EQ(into, "Name");
}

TEST_F(LocalStorageTest, WhatIsNotOursIsLeftAlone) {
    LocalStorage storage = open(place.file("repository"));
    ASSERT_TRUE(storage.put("config", view("x"), PutMode::kIfAbsent, within(10s)));
    ASSERT_TRUE(storage.now(within(10s)));
    std::filesystem::create_directories(place.file("repository/lost+found"));
    std::ofstream(place.file("repository/lost+found/.tmp-0")) << "x";
    std::ofstream(place.file("repository/notes and more.txt")) << "x";
    std::ofstream(place.file("repository/.hidden")) << "x";
    std::filesystem::create_symlink("nowhere", place.file("repository/dangling"));
    EXPECT_EQ(::mkfifo(place.file("repository/pipe").c_str(), 0600), 0);
    EXPECT_EQ(names(storage), std::vector<std::string>{"config"});
    EXPECT_EQ(storage.sweep_unfinished(WallTime::max(), within(10s)), 0U);
    std::string into(1, '\0');
    EXPECT_EQ(storage.read("pipe", 0, into, within(10s)).error().code, ErrorCode::kNotFound);
}

TEST_F(LocalStorageTest, ASubdirectoryMayLiveElsewhere) {
    LocalStorage storage = open(place.file("repository"));
    std::filesystem::create_directories(place.file("big disk"));
    std::filesystem::create_directories(place.file("repository"));
    std::filesystem::create_directory_symlink(place.file("big disk"), place.file("repository/data"));
    ASSERT_TRUE(storage.put("data/x", view("x"), PutMode::kIfAbsent, within(10s)));
    EXPECT_TRUE(std::filesystem::exists(place.file("big disk/x")));
    EXPECT_EQ(names(storage), std::vector<std::string>{"data/x"});
}

TEST_F(LocalStorageTest, ADirectoryThatWasRemovedIsMadeAnew) {
    LocalStorage storage = open(place.file("repository"));
    ASSERT_TRUE(storage.put("data/x", view("x"), PutMode::kIfAbsent, within(10s)));
    std::filesystem::remove_all(place.file("repository"));
    ASSERT_TRUE(storage.put("data/x", view("y"), PutMode::kIfAbsent, within(10s)));
    EXPECT_EQ(names(storage), std::vector<std::string>{"data/x"});
}

}  // namespace
}  // namespace aeterna::repository
