// Log segments: durable when acknowledged, in order, one writer, merged without a moment in which a byte is missing.
#include <gtest/gtest.h>

#include "dying_storage.h"
#include "repository/log_ends.h"
#include "repository/log_pieces.h"
#include "repository/log_segments.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

constexpr std::uint64_t kBegin = 0x16000028;

class LogTest : public ::testing::Test {
  protected:
    LogTest() : repository_(Repository::open(rig_.memory, rig_.key(), real_ports(), forever()).value()) {}

    std::unique_ptr<LogWriter> writer() { return LogWriter::open(*repository_, "wal-1", forever()).value(); }
    // Appends pieces of 1, 2, 3 … KiB; the log's whole text.
    std::string fill(int pieces) {
        const auto log = writer();
        std::string text;
        for (int i = 1; i <= pieces; ++i) {
            const std::string piece = rows(1024U * static_cast<unsigned>(i), static_cast<std::uint64_t>(i));
            EXPECT_TRUE(log->append(kBegin + text.size(), bytes_of(piece), forever()));
            text += piece;
        }
        return text;
    }
    std::string read(Repository& repository, std::uint64_t from) {
        std::string text;
        const auto end = read_log(
            repository, "wal-1", from,
            [&](std::uint64_t position, Bytes bytes) -> Result<bool> {
                EXPECT_EQ(position, from + text.size());
                text.append(bytes.data(), bytes.size());
                return true;
            },
            forever());
        if (!end) return end.error().to_string();
        EXPECT_EQ(*end, from + text.size());
        return text;
    }
    std::size_t pieces() {
        std::size_t count = 0;
        EXPECT_TRUE(rig_.memory.list(
            "logs/wal-1/",
            [&](const ObjectInfo& object) {
                count += object.name.ends_with("/mark") ? 0 : 1;
                return true;
            },
            forever()));
        return count;
    }

    // A byte in the middle of the n-th piece is another.
    void damage_piece(std::size_t n) {
        const std::string name = piece_name("wal-1", names().at(n));
        std::string bytes = read_object(rig_.memory, name, 1 << 20, forever()).value();
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        ASSERT_TRUE(rig_.memory.put(name, bytes_of(bytes), PutMode::kOverwrite, forever()));
    }
    std::vector<LogPiece> names() { return list_pieces(*repository_, "wal-1", forever()).value(); }
    void put_piece(std::uint64_t start, const std::string& bytes) {
        const std::string name = piece_name("wal-1", {start, std::nullopt});
        Compressor compressor;
        const std::string object = seal_as(*repository_, name, bytes_of(bytes), compressor);
        ASSERT_TRUE(rig_.memory.put(name, bytes_of(object), PutMode::kIfAbsent, forever()));
    }

    Rig rig_;
    std::unique_ptr<Repository> repository_;
};

TEST_F(LogTest, ReadsFromAnywhereToTheLastByte) {
    const std::string text = fill(10);
    for (const std::size_t from : {0UL, 1UL, 1024UL, 5000UL, text.size() - 1}) {
        EXPECT_EQ(read(*repository_, kBegin + from), text.substr(from)) << from;
    }
    for (const std::uint64_t outside : {kBegin - 1, kBegin + text.size()}) {
        EXPECT_EQ(read_log(
                      *repository_, "wal-1", outside, [](auto, auto) { return true; }, forever())
                      .error()
                      .code,
                  ErrorCode::kNotFound);
    }
    EXPECT_EQ(writer()->end(), kBegin + text.size()) << "a new writer goes on there";
    EXPECT_EQ(list_logs(*repository_, forever()).value(), std::vector<std::string>{"wal-1"});
}

TEST_F(LogTest, OneWriterOnly) {
    fill(2);
    const auto first = writer(), second = writer();
    const std::uint64_t end = *first->end();
    ASSERT_TRUE(first->append(end, bytes_of("one"), forever()));
    EXPECT_EQ(second->append(end, bytes_of("two"), forever()).error().code, ErrorCode::kLocked);
    EXPECT_EQ(first->append(end, bytes_of("again"), forever()).error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(read(*repository_, end), "one");
}

TEST_F(LogTest, AGapIsToldAndEndsTheReading) {
    const std::string text = fill(2);
    const auto log = writer();
    ASSERT_TRUE(log->append(*log->end() + 100, bytes_of("after the gap"), forever()));
    EXPECT_EQ(read(*repository_, kBegin), text);
    const std::uint64_t end = kBegin + text.size();
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).value(),
              (std::vector<LogRange>{{kBegin, end}, {end + 100, end + 113}}));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(read(*repository_, end + 100), "after the gap");
}

TEST_F(LogTest, APieceIsReadOnceForItsEnd) {
    const std::string text = fill(3);
    const std::uint64_t end = kBegin + text.size();
    LogEnds ends;
    const auto whole = [&](std::uint64_t to) { return std::vector<LogRange>{{kBegin, to}}; };
    EXPECT_EQ(ends.ranges(*repository_, "wal-1", forever()).value(), whole(end));
    const std::string first = piece_name("wal-1", {kBegin, std::nullopt});
    ASSERT_TRUE(rig_.memory.put(first, bytes_of("cannot be read"), PutMode::kOverwrite, forever()));
    EXPECT_EQ(ends.ranges(*repository_, "wal-1", forever()).value(), whole(end));
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kNames, forever()).value(),
              (std::vector<LogRange>{{kBegin + 1024, end}}));
    ASSERT_TRUE(writer()->append(end, bytes_of("more"), forever()));
    EXPECT_EQ(ends.ranges(*repository_, "wal-1", forever()).value(), whole(end + 4));
    // What is not there any more is not remembered.
    ASSERT_TRUE(remove_log(*repository_, "wal-1", forever()));
    EXPECT_TRUE(ends.ranges(*repository_, "wal-1", forever()).value().empty());
    ASSERT_TRUE(writer()->append(kBegin, bytes_of("anew"), forever()));
    EXPECT_EQ(ends.ranges(*repository_, "wal-1", forever()).value(), whole(kBegin + 4));
}

TEST_F(LogTest, AFilledGapIsGoneForEveryReader) {
    const std::string text = fill(2), missing = rows(3000, 9);
    const std::uint64_t gap = kBegin + text.size(), behind = gap + missing.size();
    ASSERT_TRUE(writer()->append(behind, bytes_of("after the gap"), forever()));
    const auto put = [&](std::uint64_t at, std::size_t bytes) {
        return fill_log(*repository_, "wal-1", at, bytes_of(missing).subspan(at - gap, bytes), forever());
    };
    // From behind, in parts that overlap, with a merge in between.
    ASSERT_TRUE(put(gap + 2000, 1000));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    for (const LogReading reading : {LogReading::kNames, LogReading::kEverything}) {
        EXPECT_EQ(log_ranges(*repository_, "wal-1", reading, forever()).value(),
                  (std::vector<LogRange>{{kBegin, gap}, {gap + 2000, behind + 13}}));
    }
    ASSERT_TRUE(put(gap, 2100));
    const auto is_whole = [&] {
        EXPECT_EQ(read(*repository_, kBegin), text + missing + "after the gap");
        EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kNames, forever()).value(),
                  (std::vector<LogRange>{{kBegin, behind + 13}}));
        EXPECT_EQ(writer()->end(), behind + 13);
    };
    is_whole();
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    is_whole();
    EXPECT_EQ(read_mark(*repository_, "wal-1", forever()).value(), behind + 13);
}

TEST_F(LogTest, OtherBytesThatAreThereAreNotReplaced) {
    const std::string text = fill(1);
    ASSERT_TRUE(writer()->append(kBegin + 5000, bytes_of("later"), forever()));
    ASSERT_TRUE(fill_log(*repository_, "wal-1", kBegin + 2000, bytes_of("first"), forever()));
    EXPECT_EQ(fill_log(*repository_, "wal-1", kBegin + 2000, bytes_of("second"), forever()).error().code,
              ErrorCode::kLocked);
    EXPECT_EQ(read(*repository_, kBegin + 2000), "first");
}

TEST_F(LogTest, MergesAndTrims) {
    const std::string text = fill(20);
    EXPECT_EQ(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()).value(), 19U);
    EXPECT_EQ(pieces(), 2U);
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(read(*repository_, kBegin + 70000), text.substr(70000));
    EXPECT_EQ(writer()->end(), kBegin + text.size());
    EXPECT_EQ(trim_log(*repository_, "wal-1", kBegin + 1000, forever()).value(), 0U) << "still needed in part";
    EXPECT_EQ(trim_log(*repository_, "wal-1", kBegin + text.size(), forever()).value(), 1U);
    EXPECT_EQ(writer()->end(), kBegin + text.size()) << "the end is known after a trim";
}

TEST_F(LogTest, LargeAppendsAndMergesStayWithinAPiece) {
    const auto log = writer();
    const std::string large = noise(kMostLogPiece * 2 + 5, 1);
    ASSERT_TRUE(log->append(0, bytes_of(large), forever()));
    EXPECT_EQ(pieces(), 4U);
    EXPECT_EQ(read(*repository_, 0), large);
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(read(*repository_, 0), large);
}

TEST_F(LogTest, DyingAnywhereKeepsEveryAcknowledgedByte) {
    for (const bool does_it_first : {false, true}) {
        for (int calls = 1; calls <= 16; ++calls) {
            Rig rig;
            DyingStorage dying(rig.memory, calls, does_it_first);
            const auto repository = Repository::open(dying, rig.key(), real_ports(), forever()).value();
            const auto sound = Repository::open(rig.memory, rig.key(), real_ports(), forever()).value();
            const auto log = LogWriter::open(*repository, "wal-1", forever()).value();
            std::string acknowledged;
            for (std::uint64_t i = 0; i < 6; ++i) {
                const std::string piece = rows(500, i);
                if (!log->append(kBegin + acknowledged.size(), bytes_of(piece), forever())) break;
                acknowledged += piece;
            }
            static_cast<void>(merge_log(*repository, "wal-1", LogGrowth::kHasEnded, forever()).has_value());
            if (!acknowledged.empty()) {
                const std::string there = read(*sound, kBegin);
                EXPECT_EQ(there.substr(0, acknowledged.size()), acknowledged) << calls;
                EXPECT_EQ(read(*sound, kBegin + acknowledged.size() - 1), there.substr(acknowledged.size() - 1))
                    << calls;
                EXPECT_LE(there.size(), acknowledged.size() + 500) << "one piece may have arrived without an answer";
                ASSERT_TRUE(merge_log(*sound, "wal-1", LogGrowth::kHasEnded, forever()));
                EXPECT_EQ(read(*sound, kBegin), there) << calls;
            }
        }
    }
}

TEST_F(LogTest, AMergeLeavesADamagedPieceAsItIs) {
    const std::string text = fill(8);
    const std::string name = piece_name("wal-1", {kBegin + 1024 * 6, std::nullopt});  // the fourth
    ASSERT_TRUE(rig_.memory.put(name, bytes_of("damaged"), PutMode::kOverwrite, forever()));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(names(), (std::vector<LogPiece>{{kBegin, kBegin + 1024 * 6},
                                              {kBegin + 1024 * 6, std::nullopt},
                                              {kBegin + 1024 * 10, kBegin + 1024 * 28},
                                              {kBegin + 1024 * 28, std::nullopt}}));
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).error().code, ErrorCode::kCorrupt);
}

TEST_F(LogTest, WhatAnotherWriterLeftIsRead) {
    const std::string text = fill(8);
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    // A writer that was late: its piece is inside a merged one, or overlaps its end.
    const std::uint64_t merged_end = kBegin + 1024 * 28;
    put_piece(kBegin + 2000, text.substr(2000, 100));
    put_piece(merged_end - 50, text.substr(1024 * 28 - 50, 100));
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(read(*repository_, merged_end - 20), text.substr(1024 * 28 - 20));
    EXPECT_EQ(writer()->end(), kBegin + text.size());
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(names().size(), 2U);
    EXPECT_EQ(read(*repository_, kBegin), text);
}

TEST_F(LogTest, WhatReachesBeyondAMergedPieceStays) {
    std::string text = fill(4);
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    const std::uint64_t merged_end = kBegin + 1024 * 6;
    ASSERT_TRUE(rig_.memory.remove(piece_name("wal-1", {merged_end, std::nullopt}), forever()));
    put_piece(merged_end - 100, text.substr(1024 * 6 - 100));
    const std::string more = "behind it";
    ASSERT_TRUE(writer()->append(kBegin + text.size(), bytes_of(more), forever()));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(read(*repository_, kBegin), text + more);
    EXPECT_EQ(names(), (std::vector<LogPiece>{{kBegin, kBegin + text.size()}, {kBegin + text.size(), std::nullopt}}));
}

TEST_F(LogTest, ARepositoryThatIsGoneIsNoticed) {
    ASSERT_TRUE(repository_->check_place(forever()));
    const std::string config = read_object(rig_.memory, "config", 1 << 20, forever()).value();
    ASSERT_TRUE(rig_.memory.remove("config", forever()));
    EXPECT_EQ(repository_->check_place(forever()).error().code, ErrorCode::kUnavailable);
    Rig other;
    const std::string foreign = read_object(other.memory, "config", 1 << 20, forever()).value();
    ASSERT_TRUE(rig_.memory.put("config", bytes_of(foreign), PutMode::kIfAbsent, forever()));
    EXPECT_EQ(repository_->check_place(forever()).error().code, ErrorCode::kUnavailable);
    ASSERT_TRUE(rig_.memory.put("config", bytes_of(config), PutMode::kOverwrite, forever()));
    EXPECT_TRUE(repository_->check_place(forever()));
}

TEST_F(LogTest, ADamagedPieceIsSaid) {
    fill(3);
    damage_piece(1);
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).error().code, ErrorCode::kCorrupt);
    EXPECT_NE(read(*repository_, kBegin).find("damaged"), std::string::npos);
}

TEST_F(LogTest, ADamagedLastPieceEndsNothing) {
    const std::string text = fill(3);
    const std::uint64_t last = kBegin + 1024 * 3;
    damage_piece(2);
    ASSERT_EQ(writer()->end(), last);
    // As much of it as the server sends at one time, then on.
    ASSERT_TRUE(writer()->append(last, bytes_of(text.substr(1024 * 3, 500)), forever()));
    const auto log = writer();
    ASSERT_EQ(log->end(), last + 500);
    ASSERT_TRUE(log->append(last + 500, bytes_of(text.substr(1024 * 3 + 500)), forever()));
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(read(*repository_, last + 10), text.substr(1024 * 3 + 10));
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kNames, forever()).value(),
              (std::vector<LogRange>{{kBegin, kBegin + text.size()}}));
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).error().code, ErrorCode::kCorrupt);
    // The next merge removes it.
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).value(),
              (std::vector<LogRange>{{kBegin, kBegin + text.size()}}));
    EXPECT_EQ(read(*repository_, kBegin), text);
}

TEST_F(LogTest, TwoThatReplaceADamagedPieceAreNotBothFirst) {
    const std::string text = fill(2);
    const std::uint64_t last = kBegin + 1024;
    damage_piece(1);
    const auto one = writer(), other = writer();
    ASSERT_TRUE(one->append(last, bytes_of(text.substr(1024, 300)), forever()));
    EXPECT_TRUE(other->append(last, bytes_of(text.substr(1024, 300)), forever())) << "the same bytes";
    EXPECT_EQ(fill_log(*repository_, "wal-1", last, bytes_of(text.substr(1024, 400)), forever()).error().code, ErrorCode::kLocked);
    const auto third = writer();
    EXPECT_EQ(third->end(), last + 300);
    EXPECT_EQ(fill_log(*repository_, "wal-1", last, bytes_of(std::string(300, 'x')), forever()).error().code, ErrorCode::kLocked);
    EXPECT_EQ(read(*repository_, kBegin), text.substr(0, 1024 + 300));
}

TEST_F(LogTest, ADamagedPieceInTheMiddleIsFilledAgain) {
    const std::string text = fill(5);
    damage_piece(2);
    const std::uint64_t hole = kBegin + 1024 * 3;
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kNames, forever()).value(),
              (std::vector<LogRange>{{kBegin, hole}, {hole + 1024 * 3, kBegin + text.size()}}));
    EXPECT_EQ(writer()->end(), kBegin + text.size());
    ASSERT_TRUE(fill_log(*repository_, "wal-1", hole, bytes_of(text.substr(1024 * 3, 1024 * 3)), forever()));
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(read(*repository_, hole + 7), text.substr(1024 * 3 + 7));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kGrows, forever()));
    ASSERT_TRUE(merge_log(*repository_, "wal-1", LogGrowth::kGrows, forever()));
    EXPECT_EQ(read(*repository_, kBegin), text);
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).value(),
              (std::vector<LogRange>{{kBegin, kBegin + text.size()}}));
}

TEST_F(LogTest, ADamagedPieceGoesWhenNothingOfItIsNeeded) {
    fill(3);
    const auto ranges = log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).value();
    ASSERT_EQ(ranges.size(), 1U);
    damage_piece(1);
    EXPECT_EQ(trim_log(*repository_, "wal-1", kBegin + 1, forever()).value(), 0U);
    EXPECT_EQ(trim_log(*repository_, "wal-1", ranges[0].to, forever()).value(), 2U) << "all but the last";
    EXPECT_EQ(log_ranges(*repository_, "wal-1", LogReading::kEverything, forever()).value().size(), 1U);
}

}  // namespace
}  // namespace aeterna::repository
