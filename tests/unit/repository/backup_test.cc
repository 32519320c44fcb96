// Back up, restore, compare: what went in comes out, and only what is new is stored.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "repository/pipeline/entry_reader.h"
#include "repository/pipeline/restore_segment.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

void make_tree(const std::string& root) {
    write_file(root + "/empty", "");
    write_file(root + "/conf/a.conf", "port = 1\n");
    write_file(root + "/conf/b.conf", std::string(300, '\0'));
    write_file(root + "/conf.d/c", "sorts between conf and conf/…");
    for (int i = 0; i < 300; ++i) write_file(root + "/many/" + std::to_string(i), rows(1000 + 37U * i, i));
    write_file(root + "/dump.rdb", noise(3 << 20, 7) + rows(2 << 20, 8));
    write_file(root + "/base/1/16384", database_file(700, 1));
    write_file(root + "/base/1/16384_vm", database_file(9, 2));
    write_file(root + "/odd", rows(kSmallFileBytes + 1, 3));
    fs::create_directories(root + "/hollow/inside");
    fs::create_symlink("../conf/a.conf", root + "/conf/link");
    fs::create_symlink("nowhere", root + "/dangling");
    ::chmod((root + "/conf/a.conf").c_str(), 04750);
    ::chmod((root + "/conf").c_str(), 0500);
    const timespec times[] = {{1, 2}, {-5, 999999999}};
    ::utimensat(AT_FDCWD, (root + "/empty").c_str(), times, 0);
}

void make_sparse(const std::string& path) {
    write_file(path, "head");
    ASSERT_EQ(::truncate(path.c_str(), 200 << 20), 0);
    overwrite_at(path, 150 << 20, "deep inside");
}

std::uint64_t allocated(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

class BackupTest : public ::testing::TestWithParam<HashKind> {
  protected:
    BackupTest() { make_tree(from_); }
    ~BackupTest() override { ::chmod((from_ + "/conf").c_str(), 0700); }

    Directory parent_;
    const std::string from_ = parent_.file("from");
    Rig rig_{GetParam()};
};

TEST_P(BackupTest, RestoresEverythingAsItWas) {
    const BackupResult result = rig_.back_up(from_);
    EXPECT_EQ(result.problem_count, 0U) << result.problems.front();
    EXPECT_EQ(result.backup.files, 308U);
    EXPECT_EQ(result.backup.links, 2U);
    EXPECT_EQ(rig_.restored_difference(result.backup, from_), "");
    EXPECT_EQ(rig_.check().problem_count, 0U);
    EXPECT_LT(result.backup.stored_bytes, result.backup.bytes * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Hashes, BackupTest, ::testing::Values(HashKind::kSha256, HashKind::kBlake2b),
                         [](const auto& chosen) { return std::string(hash_name(chosen.param)); });

class SecondBackup : public BackupTest {};
INSTANTIATE_TEST_SUITE_P(Hashes, SecondBackup, ::testing::Values(HashKind::kSha256),
                         [](const auto& chosen) { return std::string(hash_name(chosen.param)); });

// Every file gets other times, as a copy has.
void touch_all(const std::string& root) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        const timespec times[] = {{1, 2}, {1'000'000'000, 0}};
        ::utimensat(AT_FDCWD, entry.path().c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
}

TEST_P(SecondBackup, OfUnchangedContentStoresNoContent) {
    const BackupResult first = rig_.back_up(from_);
    touch_all(from_);
    const BackupResult second = rig_.back_up(from_);
    EXPECT_EQ(second.backup.parent, first.backup.id);
    EXPECT_EQ(second.known_files, 0U);
    EXPECT_LT(second.backup.stored_bytes, 64U << 10) << "the records, and nothing else";
    EXPECT_EQ(rig_.restored_difference(second.backup, from_), "");
}

TEST_P(SecondBackup, StoresChangedPagesOnly) {
    rig_.back_up(from_);
    const std::string table = from_ + "/base/1/16384";
    for (std::size_t page = 5; page < 700; page += 100) overwrite_at(table, page * kPageBytes, database_page(page + 9));
    overwrite_at(table, 300 * kPageBytes, std::string(2 * kPageBytes, '\0'));
    write_file(table, read_file(table) + database_file(3, 77));  // and it grew
    const BackupResult second = rig_.back_up(from_);
    EXPECT_LT(second.backup.stored_bytes, (7 + 1 + 128 + 3) * kPageBytes) << "patches, and the group that grew";
    EXPECT_EQ(rig_.restored_difference(second.backup, from_), "");
    EXPECT_EQ(rig_.check().problem_count, 0U);
}

// Vectors have no page's length, and grow: the last page of the last backup is a part of one now.
TEST_P(SecondBackup, StoresChangedPagesOfVectorsOnly) {
    const std::string path = from_ + "/matrix.dat";
    std::string content = "data" + floats(5 << 20, 1);
    write_file(path, content);
    rig_.back_up(from_);
    for (std::size_t page = 7; page < 640; page += 100) content.replace(page * kPageBytes + 4096, 512, floats(512, page));
    write_file(path, content);
    const BackupResult second = rig_.back_up(from_);
    EXPECT_LT(second.backup.stored_bytes, 8 * kPageBytes + (64U << 10));
    EXPECT_EQ(rig_.restored_difference(second.backup, from_), "");
    content.replace(content.size() - 100, 100, std::string(100, '\0'));
    write_file(path, content.substr(0, content.size() - 2));
    EXPECT_EQ(rig_.restored_difference(rig_.back_up(from_).backup, from_), "");
    write_file(path, content + std::string(3 * kPageBytes + 77, '\0'));
    EXPECT_EQ(rig_.restored_difference(rig_.back_up(from_).backup, from_), "");
    write_file(path, content.substr(0, 4 << 20) + "xyz");
    EXPECT_EQ(rig_.restored_difference(rig_.back_up(from_).backup, from_), "");
    EXPECT_EQ(rig_.check().problem_count, 0U);
}

// A page of zeros at the end of the file looks like the short one that it was, and is longer.
TEST_P(SecondBackup, AFileOfZerosAtItsEndGrows) {
    const std::string path = from_ + "/matrix.dat";
    const std::string vectors = "data" + floats(20 * kPageBytes - 4, 2);
    for (const std::size_t zeros : {100U, 9000U, 50U, 20000U}) {
        write_file(path, vectors + std::string(zeros, '\0'));
        const BackupResult result = rig_.back_up(from_);
        EXPECT_EQ(rig_.restored_difference(result.backup, from_), "") << zeros;
    }
}

// Patches on patches: after enough of them a group is stored anew, and every backup restores.
TEST_P(SecondBackup, StaysRestorableThroughManyGenerations) {
    const std::string table = from_ + "/base/1/16384";
    std::vector<Backup> backups;
    std::vector<std::string> contents;
    for (std::size_t generation = 0; generation < 12; ++generation) {
        backups.push_back(rig_.back_up(from_).backup);
        contents.push_back(read_file(table));
        for (std::size_t i = 0; i < 30; ++i) {
            overwrite_at(table, (generation * 31 + i * 23) % 700 * kPageBytes, database_page(generation * 1000 + i));
        }
    }
    for (std::size_t i = 0; i < backups.size(); ++i) {
        const Directory out;
        ASSERT_TRUE(rig_.restore(backups[i], out.file("out")));
        EXPECT_EQ(read_file(out.file("out/base/1/16384")), contents[i]) << i;
    }
    EXPECT_EQ(rig_.check().problem_count, 0U);
}

TEST_P(SecondBackup, KnowsFilesByTheirTimesButNotFreshOnes) {
    rig_.back_up(from_);
    // Everything was written within the two seconds before the first backup: nothing is trusted yet.
    EXPECT_EQ(rig_.back_up(from_).known_files, 0U);
    rig_.clock.shift = 10s;  // as if the next backup began ten seconds later
    rig_.back_up(from_);
    write_file(from_ + "/conf.d/c", "another text of the same len.");
    const BackupResult last = rig_.back_up(from_);
    EXPECT_EQ(last.known_files, 306U) << "all but the empty and the changed one";
    EXPECT_EQ(rig_.restored_difference(last.backup, from_), "");
}

TEST_P(SecondBackup, FollowsNamesThatComeAndGo) {
    rig_.back_up(from_);
    fs::rename(from_ + "/dump.rdb", from_ + "/dump.old");
    fs::remove(from_ + "/many/17");
    fs::remove(from_ + "/empty");
    fs::create_directories(from_ + "/empty");
    write_file(from_ + "/many/17a", "new");
    const BackupResult second = rig_.back_up(from_);
    EXPECT_LT(second.backup.stored_bytes, 64U << 10) << "a renamed file is not stored again";
    EXPECT_EQ(rig_.restored_difference(second.backup, from_), "");
}

class Plain : public ::testing::Test {
  protected:
    Directory parent_;
    const std::string from_ = parent_.file("from");
    Rig rig_;
};

TEST_F(Plain, ZerosTakeNoSpaceAnywhere) {
    make_sparse(from_ + "/sparse");
    make_sparse(from_ + "/odd");
    ASSERT_EQ(::truncate((from_ + "/odd").c_str(), (200 << 20) + 5), 0);
    write_file(from_ + "/zeros", std::string(3 << 20, '\0'));
    const BackupResult result = rig_.back_up(from_);
    EXPECT_LT(result.backup.stored_bytes, 64U << 10);
    ASSERT_TRUE(rig_.restore(result.backup, parent_.file("out")));
    EXPECT_EQ(difference(from_, parent_.file("out")), "");
    for (const char* name : {"/out/sparse", "/out/odd", "/out/zeros"}) {
        EXPECT_LT(allocated(parent_.path() + name), 2U << 20) << name;
    }
}

TEST_F(Plain, AnyBytesComeBack) {
    Sequence random(11);
    const std::size_t edges[] = {1, 4095, kSmallFileBytes - 1, kSmallFileBytes, kSmallFileBytes + 1, kPageBytes * 9,
                                 kMaxChunk, kGroupBytes + kPageBytes, kMaxChunk + 1, 5 << 20};
    for (int i = 0; i < 40; ++i) {
        const std::size_t size = i < 10 ? edges[i] : random.next() % (3 << 19);
        std::string content = i % 3 == 0 ? floats(size, i) : i % 3 == 1 ? rows(size, i) : noise(size, i);
        for (int hole = 0; hole < 3 && size > 0; ++hole) {
            const std::size_t from = random.next() % size, length = random.next() % (size - from);
            content.replace(from, length, length, '\0');
        }
        write_file(from_ + "/" + std::to_string(random.next() % 7) + "/" + std::to_string(i), content);
    }
    const BackupResult result = rig_.back_up(from_);
    EXPECT_EQ(rig_.restored_difference(result.backup, from_), "");
}

TEST_F(Plain, FilesOfSeveralSegmentsComeBack) {
    write_file(from_ + "/table", database_file(8192 + 300, 1));
    write_file(from_ + "/stream", noise(kSegmentBytes + 12345, 2));
    const Backup first = rig_.back_up(from_).backup;
    EXPECT_EQ(rig_.restored_difference(first, from_), "");
    overwrite_at(from_ + "/table", 8300 * kPageBytes, database_page(1234));
    const BackupResult second = rig_.back_up(from_);
    EXPECT_LT(second.backup.stored_bytes, 40U << 10) << "one page, a difference of one map, the records";
    EXPECT_EQ(rig_.restored_difference(second.backup, from_), "");
}

TEST_F(Plain, WhatIsNoFileIsNamed) {
    write_file(from_ + "/a", "a");
    ASSERT_EQ(::mkfifo((from_ + "/pipe").c_str(), 0600), 0);
    const BackupResult result = rig_.back_up(from_);
    EXPECT_EQ(result.problem_count, 1U);
    EXPECT_NE(result.problems.front().find("pipe"), std::string::npos);
    EXPECT_EQ(result.backup.skipped, 1U);
}

TEST_F(Plain, AMissingSourceIsAnErrorAndNoBackup) {
    EXPECT_FALSE(rig_.back_up_at(rig_.memory, from_));
    write_file(from_, "a file");
    EXPECT_EQ(rig_.back_up_at(rig_.memory, from_).error().code, ErrorCode::kUsage);
    EXPECT_TRUE(rig_.open()->catalog().ids(forever()).value().empty());
}

TEST_F(Plain, ARestoreTouchesNoForeignDirectory) {
    write_file(from_ + "/a", "a");
    const Backup backup = rig_.back_up(from_).backup;
    write_file(parent_.file("out/mine"), "precious");
    EXPECT_EQ(rig_.restore(backup, parent_.file("out")).error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(read_file(parent_.file("out/mine")), "precious");
    EXPECT_FALSE(fs::exists(parent_.file("out/a")));
}

TEST_F(Plain, AnInterruptedRestoreIsFinishedByTheNext) {
    write_file(from_ + "/table", database_file(1024, 1) + std::string(1 << 20, '\0') + database_file(128, 3));
    write_file(from_ + "/stream", noise(3 << 20, 2));
    write_file(from_ + "/small", "s");
    const Backup backup = rig_.back_up(from_).backup;
    const std::string out = parent_.file("out");
    ASSERT_TRUE(rig_.restore(backup, out));
    // As if killed: the marker is there, one file is half done, one has another content where zeros belong.
    write_file(out + "/" + kRestoreMarker, backup.id);
    ASSERT_EQ(::truncate((out + "/stream").c_str(), 1 << 20), 0);
    overwrite_at(out + "/table", (8 << 20) + 5000, noise(200000, 9));
    const auto again = rig_.restore(backup, out);
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(difference(from_, out), "");
    EXPECT_GT(again->kept_bytes, 10U << 20) << "what is right of a file is kept";
    write_file(out + "/" + kRestoreMarker, backup.id);
    EXPECT_GT(rig_.restore(backup, out)->kept_bytes, 12U << 20) << "what is there is not fetched again";
    EXPECT_EQ(difference(from_, out), "");
}

TEST_F(Plain, ARestoreGoesOnFromWhereTheOneBeforeWasKilledInAWrite) {
    write_file(from_ + "/last", "the backup's");
    const std::string out = parent_.file("out");
    RestoreRequest request;
    request.backup = rig_.back_up(from_).backup;
    request.into = out;
    request.last = {{"last", "ours", 0600}};
    // Killed in the first write of all: of the marker.
    fs::create_directories(out);
    write_file(out + "/." + kRestoreMarker + ".tmp-77-0", request.backup.id.substr(0, 5));
    const auto repository = rig_.open();
    const auto first = restore_tree(*repository, request, forever());
    ASSERT_TRUE(first) << first.error().to_string();
    EXPECT_FALSE(fs::exists(out + "/." + kRestoreMarker + ".tmp-77-0"));
    // Killed in the last one.
    write_file(out + "/" + kRestoreMarker, request.backup.id);
    write_file(out + "/.last.tmp-77-3", "ou");
    const auto second = restore_tree(*repository, request, forever());
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(read_file(out + "/last"), "ours");
    EXPECT_FALSE(fs::exists(out + "/.last.tmp-77-3"));
}

// Root may write everything: as somebody else.
TEST_F(Plain, AnInterruptedRestoreOfWhatNobodyMayWriteIsFinishedToo) {
    constexpr uid_t kNobody = 65534;
    write_file(from_ + "/large", noise(1 << 20, 3));
    write_file(from_ + "/sealed/small", "s");
    fs::create_symlink("small", from_ + "/sealed/link");
    const bool is_root = ::geteuid() == 0;
    for (const char* path : {"", "/large", "/sealed", "/sealed/small", "/sealed/link"}) {
        if (is_root) ASSERT_EQ(::lchown((from_ + path).c_str(), kNobody, kNobody), 0);
    }
    for (const char* path : {"/large", "/sealed/small", "/sealed", ""}) ASSERT_EQ(::chmod((from_ + path).c_str(), 0500), 0);
    RestoreRequest request;
    request.backup = rig_.back_up(from_).backup;
    request.into = parent_.file("out");
    fs::create_directories(request.into);
    const auto repository = rig_.open();
    if (is_root) {
        ASSERT_EQ(::chmod(parent_.file(".").c_str(), 0755), 0);
        ASSERT_EQ(::chown(request.into.c_str(), kNobody, kNobody), 0);
        ASSERT_EQ(::setegid(kNobody), 0);
        ASSERT_EQ(::seteuid(kNobody), 0);
    }
    const auto first = restore_tree(*repository, request, forever());
    const auto root = fs::status(request.into).permissions();
    fs::permissions(request.into, fs::perms::owner_all);
    write_file(request.into + "/" + kRestoreMarker, request.backup.id);
    fs::permissions(request.into, root);
    const auto second = restore_tree(*repository, request, forever());
    if (is_root) ASSERT_EQ(::seteuid(0) + ::setegid(0), 0);
    ASSERT_TRUE(first) << first.error().to_string();
    ASSERT_TRUE(second) << second.error().to_string();
    EXPECT_EQ(difference(from_, request.into), "");
    for (const std::string& place : {from_, request.into}) {  // they have to go
        for (const char* path : {"", "/sealed"}) ::chmod((place + path).c_str(), 0700);
    }
}

// Somebody uses a directory whose restore was killed when only its marker was left to go, and it is backed up as it is.
TEST_F(Plain, AMarkerInABackupIsNotRestored) {
    write_file(from_ + "/a", "a");
    write_file(from_ + "/" + kRestoreMarker, "of an earlier one");
    const Backup backup = rig_.back_up(from_).backup;
    const std::string out = parent_.file("out");
    const auto restored = rig_.restore(backup, out);
    ASSERT_TRUE(restored) << restored.error().to_string();
    EXPECT_EQ(read_file(out + "/a"), "a");
    EXPECT_FALSE(fs::exists(out + "/" + kRestoreMarker));
}

TEST_F(Plain, OneRecordIsFoundWithoutTheOthers) {
    for (int i = 0; i < 5000; ++i) write_file(from_ + "/d" + std::to_string(i % 50) + "/" + std::to_string(i), "x");
    const Backup backup = rig_.back_up(from_).backup;
    const auto repository = rig_.open();
    EntryReader reader(*repository, forever());
    EXPECT_EQ(find_record(reader, backup, "d7/57").value().info.size, 1U);
    EXPECT_EQ(find_record(reader, backup, "").value().info.type, env::NodeType::kDirectory);
    EXPECT_EQ(find_record(reader, backup, "d7/58").error().code, ErrorCode::kNotFound);
}

TEST(WriteWithHoles, SkipsLongRunsOnly) {
    const std::size_t block = 64 << 10;
    const std::string text = std::string(100, 'a') + std::string(3 * block, '\0') + "b" + std::string(100, '\0') + "c";
    std::string out(text.size(), '?');
    std::size_t skipped = 0;
    ASSERT_TRUE(write_with_holes(
        bytes_of(text),
        [&](std::size_t at, Bytes part) {
            out.replace(at, part.size(), part.data(), part.size());
            return Status();
        },
        [&](std::size_t at, std::size_t bytes) {
            out.replace(at, bytes, bytes, '\0');
            skipped += bytes;
            return Status();
        }));
    EXPECT_EQ(out, text);
    EXPECT_EQ(skipped, 2 * block);
}

}  // namespace
}  // namespace aeterna::repository
