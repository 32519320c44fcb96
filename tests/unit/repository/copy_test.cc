// A second place: the same backups, whatever happens while it is made; and the escrow with which it opens.
#include <gtest/gtest.h>

#include "dying_storage.h"
#include "repository/log_segments.h"
#include "repository/pipeline/copy.h"
#include "repository/pipeline/prune.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

class CopyTest : public ::testing::Test {
  protected:
    CopyTest() {
        change(1);
        first_ = rig_.back_up(from_).backup;
        append(3);
    }
    void change(std::uint64_t state) {
        write_file(from_ + "/same", noise(300000, 1));
        write_file(from_ + "/other", noise(600000, 10 + state));
        write_file(from_ + "/table", database_file(40, state));
    }
    void append(int pieces) {
        const auto repository = Repository::open(rig_.memory, rig_.key(), real_ports(rig_.clock), forever()).value();
        const auto writer = LogWriter::open(*repository, "t1", forever()).value();
        for (int i = 0; i < pieces; ++i) {
            const std::uint64_t at = writer->end().value_or(0);
            ASSERT_TRUE(writer->append(at, bytes_of(noise(1000, at)), forever()));
            log_ += noise(1000, at);
        }
    }
    Result<CopyReport> copy(Storage& from, Storage& to) {
        AETERNA_ASSIGN(const auto repository, rig_.open_at(from, SessionKind::kRead));
        return copy_repository(*repository, to, {}, forever());
    }
    // "" when the copy has that backup, sound from end to end, and all of the log.
    std::string wrong_in(Storage& place, const Backup& backup) {
        const Directory state, parent;
        auto opened = Repository::open(place, rig_.key(), real_ports(rig_.clock), forever());
        if (!opened) return opened.error().to_string();
        const Status index = (*opened)->open_index(state.path(), SessionKind::kRead, forever());
        if (!index) return index.error().to_string();
        const auto report = check_repository(**opened, {100}, forever());
        if (!report) return report.error().to_string();
        if (report->problem_count > 0) return report->problems.front();
        RestoreRequest request;
        request.backup = backup;
        request.into = parent.file("out");
        const auto restored = restore_tree(**opened, request, forever());
        if (!restored) return restored.error().to_string();
        std::string text;
        const auto end = read_log(**opened, "t1", 0, [&](std::uint64_t, Bytes bytes) -> Result<bool> {
            text.append(bytes.data(), bytes.size());
            return true;
        }, forever());
        if (!end) return end.error().to_string();
        if (text != log_) return "another log";
        return difference(from_, parent.file("out"));
    }

    Rig rig_;
    MemoryStorage to_{rig_.clock};
    Directory parent_;
    const std::string from_ = parent_.file("from");
    Backup first_;
    std::string log_;
};

TEST_F(CopyTest, IsARepositoryOfItsOwnAndBringsWhatIsNew) {
    const auto done = copy(rig_.memory, to_);
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(done->problem_count, 0U);
    EXPECT_EQ(wrong_in(to_, first_), "");
    const auto again = copy(rig_.memory, to_);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->objects, 0U) << "nothing is new";
    change(2);
    const Backup second = rig_.back_up(from_).backup;
    append(4);
    const auto repository = rig_.open();
    ASSERT_TRUE(merge_log(*repository, "t1", LogGrowth::kHasEnded, forever()));
    ASSERT_TRUE(copy(rig_.memory, to_));
    EXPECT_EQ(wrong_in(to_, second), "");
    std::size_t pieces = 0;
    EXPECT_TRUE(to_.list("logs/t1/0", [&](const ObjectInfo&) { return ++pieces > 0; }, forever()));
    EXPECT_EQ(pieces, 2U) << "what the merge has taken in is gone here as well";
}

TEST_F(CopyTest, DyingAnywhereItGoesOn) {
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            MemoryStorage target(rig_.clock);
            DyingStorage dying(target, calls, does_it_first);
            static_cast<void>(copy(rig_.memory, dying).has_value());
            has_died = dying.has_died();
            const auto opened = Repository::open(target, rig_.key(), real_ports(), forever());
            if (!opened) {
                EXPECT_EQ(opened.error().code, ErrorCode::kNoRepository) << calls;
            } else {
                EXPECT_EQ(wrong_in(target, first_), "") << calls;
            }
            const auto finished = copy(rig_.memory, target);
            ASSERT_TRUE(finished) << calls << ' ' << finished.error().to_string();
            EXPECT_EQ(wrong_in(target, first_), "") << calls;
        }
        EXPECT_GT(calls, 8);
    }
}

// While it is copied, at every moment: a new backup, and a prune that forgets the old one; and a merge.
TEST_F(CopyTest, BesideAWriterAndAPruneItGetsWholeBackups) {
    int calls = 1;
    for (bool has_happened = true; has_happened; ++calls) {
        change(static_cast<std::uint64_t>(calls) + 100);
        MemoryStorage target(rig_.clock);
        has_happened = false;
        DyingStorage hooked(target, calls, [&] {
            has_happened = true;
            EXPECT_TRUE(rig_.back_up_at(rig_.memory, from_));
            const auto repository = rig_.open_at(rig_.memory, SessionKind::kPrune).value();
            PruneRequest request;
            request.policy.last = 1;
            EXPECT_TRUE(prune(*repository, request, forever()));
            EXPECT_TRUE(merge_log(*repository, "t1", LogGrowth::kHasEnded, forever()));
        });
        append(2);
        const auto done = copy(rig_.memory, hooked);
        ASSERT_TRUE(done) << calls << ' ' << done.error().to_string();
        EXPECT_EQ(done->problem_count, 0U) << calls << ' ' << done->problems.front();
        if (!has_happened) break;
        ASSERT_TRUE(copy(rig_.memory, target));
        const Backup newest = rig_.open()->catalog().find("latest", forever()).value();
        EXPECT_EQ(wrong_in(target, newest), "") << calls;
    }
    EXPECT_GT(calls, 8);
}

TEST_F(CopyTest, WhatIsDamagedIsToldAndNotCopied) {
    std::string pack;
    EXPECT_TRUE(rig_.memory.list("packs/", [&](const ObjectInfo& object) {
        pack = object.name;
        return object.bytes < 300000;
    }, forever()));
    const std::string good = read_object(rig_.memory, pack, 1 << 30, forever()).value();
    std::string bent = good;
    bent[good.size() / 2] = static_cast<char>(bent[good.size() / 2] ^ 1);
    ASSERT_TRUE(rig_.memory.put(pack, bytes_of(bent), PutMode::kOverwrite, forever()));
    const auto done = copy(rig_.memory, to_);
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(done->problem_count, 1U);
    EXPECT_NE(done->problems.front().find(pack), std::string::npos);
    EXPECT_FALSE(to_.stat(pack, forever()));
    ASSERT_TRUE(rig_.memory.put(pack, bytes_of(good), PutMode::kOverwrite, forever()));
    ASSERT_TRUE(copy(rig_.memory, to_));
    EXPECT_EQ(wrong_in(to_, first_), "");
}

TEST_F(CopyTest, AnotherRepositoryIsLeftAlone) {
    const Rig other;
    EXPECT_EQ(copy(rig_.memory, const_cast<MemoryStorage&>(other.memory)).error().code, ErrorCode::kGuardRefused);
}

TEST_F(CopyTest, WithAnEscrowAloneEverythingComesBack) {
    const Secret escrow = rig_.open()->escrow();
    ASSERT_TRUE(copy(rig_.memory, to_));
    // The first place is gone, the keys of the copy as well.
    std::vector<std::string> keys;
    EXPECT_TRUE(to_.list("keys/", [&](const ObjectInfo& object) { keys.push_back(object.name); return true; }, forever()));
    for (const std::string& key : keys) ASSERT_TRUE(to_.remove(key, forever()));
    EXPECT_EQ(Repository::open(to_, rig_.key(), real_ports(), forever()).error().code, ErrorCode::kCorrupt);
    const auto credential = parse_credential(escrow.reveal());
    ASSERT_TRUE(credential) << credential.error().to_string();
    EXPECT_EQ(credential->place, rig_.memory.describe());
    const auto opened = Repository::open(to_, *credential, real_ports(), forever());
    ASSERT_TRUE(opened) << opened.error().to_string();
    // A new key is made with it, and opens as the old one did.
    ASSERT_TRUE((*opened)->add_key(rig_.key(), "new", {}, forever()));
    EXPECT_EQ(wrong_in(to_, first_), "");
    const Rig other;
    const auto elsewhere = Repository::open(const_cast<MemoryStorage&>(other.memory), *credential, real_ports(), forever());
    EXPECT_EQ(elsewhere.error().code, ErrorCode::kWrongKey);
    std::string slip = escrow.reveal();
    slip[slip.find("master: ") + 12] ^= 1;
    EXPECT_EQ(parse_credential(slip).error().code, ErrorCode::kUsage) << "a slip of the pen is no other key";
}

}  // namespace
}  // namespace aeterna::repository
