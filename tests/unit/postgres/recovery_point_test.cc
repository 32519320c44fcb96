// Which backup a recovery begins with and where it stops, out of a repository in memory.
#include "postgres/restore/recovery_point.h"

#include "env/posix/file_system.h"
#include "postgres/capture/archive_get.h"
#include "postgres/client/wal.h"
#include "postgres/restore/plan.h"
#include "postgres/restore/recovery_windows.h"
#include "postgres/capture/wal_audit.h"
#include "postgres/capture/wal_path.h"
#include "repository/log_segments.h"
#include "repository/pipeline/stream_backup.h"
#include "rig.h"
#include "wal_stream.h"

namespace aeterna::postgres {
namespace {

namespace rig = repository::testing;
using testing::WalStream;

constexpr Lsn kLogBegin = 0x3000000;
constexpr std::uint64_t kSystem = WalStream::kSystem;

std::string control_file(WallTime checkpoint_at, std::uint64_t system) {
    std::string bytes(512, '\0');
    const auto put = [&](std::size_t at, auto value) { std::memcpy(bytes.data() + at, &value, sizeof value); };
    put(0, system);
    put(8, std::uint32_t{1300});
    put(104, static_cast<std::int64_t>(to_unix_us(checkpoint_at) / 1'000'000));
    put(228, static_cast<std::uint32_t>(WalStream::kSegment));
    return bytes;
}

env::NodeInfo node_of(env::NodeType type, std::uint64_t size) {
    env::NodeInfo info;
    info.type = type;
    info.mode = 0700;
    info.size = size;
    return info;
}

class RecoveryPointTest : public ::testing::Test {
  protected:
    // Its id.
    std::string back_up(Lsn from, Lsn to, WallTime checkpoint_at, std::uint64_t system = kSystem) {
        BaseBackupDetails details;
        details.system_identifier = std::to_string(system);
        details.timeline = 1;
        details.from = from;
        details.to = to;
        repository::Backup header;
        header.kind = "base";
        header.store = "postgres";
        header.name = "cluster";
        header.details = details_json(details);
        rig_.clock.shift += std::chrono::seconds(1);  // ids are by time
        repository::StreamBackup stream(*repository_, {header, 1, {}}, rig::forever());
        const std::string control = control_file(checkpoint_at, system);
        EXPECT_TRUE(stream.begin());
        EXPECT_TRUE(stream.begin_file(kControlPath, node_of(env::NodeType::kFile, control.size())));
        EXPECT_TRUE(stream.append(repository::bytes_of(control)));
        EXPECT_TRUE(stream.end_file());
        for (const char* path : {"global", ""}) EXPECT_TRUE(stream.add_node(path, node_of(env::NodeType::kDirectory, 0)));
        return stream.finish().value().backup.id;
    }
    void capture() {
        const auto log = repository::LogWriter::open(*repository_, wal_log_name({std::to_string(kSystem), 1}), rig::forever()).value();
        for (Lsn at = kLogBegin; at < wal_.end(); at += 2 * WalStream::kPage) {
            ASSERT_TRUE(log->append(at, repository::bytes_of(wal_.from(at).substr(0, 2 * WalStream::kPage)), rig::forever()));
        }
    }
    Result<RecoveryPoint> choose(const std::string& word) {
        return choose_recovery_point(*repository_, {*parse_recovery_target(word), "", {}, ""}, rig::forever());
    }

    void append(Timeline timeline, Lsn from, Lsn to, std::uint64_t system = kSystem) {
        const auto log = repository::LogWriter::open(*repository_, wal_log_name({std::to_string(system), timeline}), rig::forever()).value();
        ASSERT_TRUE(log->append(from, repository::bytes_of(wal_.from(from).substr(0, to - from)), rig::forever()));
    }

    // What restore_command says to a server that wants this file.
    Result<engine::ArchiveAnswer> ask(const std::string& file, const std::string& into, const std::string& until = "") {
        engine::ArchiveRequest request;
        request.file = file;
        request.into = into;
        request.cluster = std::to_string(kSystem);
        request.segment_bytes = WalStream::kSegment;
        request.until = until;
        const auto files = env::make_posix_file_system();
        return make_archive(rig::real(), *files)->get(*repository_, request, rig::forever());
    }

    const WallTime begun_ = *parse_time("2026-03-01T12:00:00Z");
    rig::Rig rig_;
    std::unique_ptr<repository::Repository> repository_ = rig_.open();
    WalStream wal_{kLogBegin};
};

TEST_F(RecoveryPointTest, ATimeWithinABackupNeedsTheOneBeforeWhateverOurClockSays) {
    rig_.clock.shift = begun_ - 1h - rig_.clock.wall_now();  // far behind the server's
    const Lsn first = wal_.checkpoint(begun_);
    const std::string older = back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 5s);
    const Lsn second = wal_.checkpoint(begun_ + 10s);
    wal_.commit(begun_ + 20s);
    for (int i = 0; i < 30; ++i) wal_.other(50'000);
    (void)back_up(second, wal_.end(), begun_ + 10s);
    wal_.commit(begun_ + 40s);
    capture();
    const auto point = choose("2026-03-01T12:00:15Z");
    ASSERT_TRUE(point) << point.error().to_string();
    EXPECT_EQ(point->backup.id, older);
    ASSERT_TRUE(point->replay);
    EXPECT_EQ(point->replay->stop.last, second);
    EXPECT_EQ(point->replay->stop.next_commit, begun_ + 20s);
    EXPECT_TRUE(point->notes.empty()) << point->notes.front();
}

TEST_F(RecoveryPointTest, AClockThatWentBackIsSaid) {
    const Lsn first = wal_.checkpoint(begun_);
    (void)back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 60s);
    wal_.commit(begun_ + 30s);  // another server's clock, or one that was set
    wal_.commit(begun_ + 31s);
    wal_.commit(begun_ + 90s);
    capture();
    const auto early = choose("2026-03-01T12:00:40Z"), late = choose("2026-03-01T12:01:10Z");
    ASSERT_TRUE(early && late);
    EXPECT_EQ(early->replay->stop.next_commit, begun_ + 60s) << "passed for the first time";
    EXPECT_TRUE(early->notes.empty());
    ASSERT_EQ(late->notes.size(), 1U);
    EXPECT_NE(late->notes.front().find("clocks went back by 30"), std::string::npos) << late->notes.front();
}

TEST_F(RecoveryPointTest, WhereALogBeginsInsideABackupTheServersClockCounts) {
    rig_.clock.shift = begun_ + 10h - rig_.clock.wall_now();  // far ahead of the server's
    const Lsn first = wal_.checkpoint(begun_);
    for (int i = 0; i < 30; ++i) wal_.other(50'000);
    const Lsn committed = wal_.commit(begun_ + 20s), end = wal_.end();
    const std::string backup = back_up(first, end, begun_);
    wal_.commit(begun_ + 40s);
    append(1, committed / WalStream::kSegment * WalStream::kSegment, wal_.end());
    const auto point = choose("2026-03-01T12:00:30Z");
    ASSERT_TRUE(point) << point.error().to_string();
    EXPECT_EQ(point->backup.id, backup);
    // Whether all that was committed before the log began was committed by then is not known.
    const auto refused = choose("2026-03-01T12:00:10Z");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("does not have the WAL"), std::string::npos) << refused.error().message;
}

TEST_F(RecoveryPointTest, WhatIsCapturedMeanwhileIsNoHole) {
    wal_.checkpoint(begun_);
    for (int i = 0; i < 20; ++i) wal_.other(5'000);
    const Lsn middle = wal_.end();
    for (int i = 0; i < 20; ++i) wal_.other(5'000);
    capture();
    const auto path = find_wal_path(*repository_, std::to_string(kSystem), {}, rig::forever()).value();
    const auto captured = captured_wal(*repository_, path, rig::forever()).value();
    EXPECT_EQ(next_captured(path, captured, middle), std::nullopt);
    EXPECT_EQ(next_captured(path, captured, kLogBegin - WalStream::kSegment), kLogBegin);
}

TEST_F(RecoveryPointTest, EveryTimeOfAWindowCanBeHad) {
    const Lsn first = wal_.checkpoint(begun_);
    wal_.commit(begun_ + 1s);
    (void)back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 1500ms);
    wal_.commit(begun_ + 5s);
    wal_.restore_point(begun_ + 9s, "later");
    capture();
    const auto windows = find_recovery_windows(*repository_, rig::forever());
    ASSERT_TRUE(windows) << windows.error().to_string();
    ASSERT_EQ(windows->size(), 1U);
    EXPECT_EQ(windows->front().earliest, begun_ + 2s) << "the checkpoint tells whole seconds";
    EXPECT_EQ(windows->front().until, begun_ + 5s) << "a restore point proves nothing";
    EXPECT_TRUE(choose("2026-03-01T12:00:02Z"));
    EXPECT_TRUE(choose("2026-03-01T12:00:04.999Z"));
    EXPECT_FALSE(choose("2026-03-01T12:00:01.999Z"));
    EXPECT_FALSE(choose("2026-03-01T12:00:05Z"));
}

TEST_F(RecoveryPointTest, DamagedWalIsNoObstacleBeforeIt) {
    const Lsn first = wal_.checkpoint(begun_);
    (void)back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 5s);
    const Lsn last = wal_.other(100);
    const Lsn whole_to = wal_.end(), damaged = wal_.other(100);
    wal_.commit(begun_ + 9s);
    wal_.bytes()[damaged + 8 - kLogBegin] = 'x';  // it names another record before it
    capture();
    const auto refused = choose("latest");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
    const std::string way = "lsn:" + format_lsn(whole_to);
    EXPECT_NE(refused.error().hint.find("--to " + way + "."), std::string::npos) << refused.error().hint;
    const auto point = choose(way);
    ASSERT_TRUE(point) << point.error().to_string();
    ASSERT_TRUE(point->replay);
    EXPECT_EQ(point->replay->stop.last, last);
    const auto windows = find_recovery_windows(*repository_, rig::forever());
    ASSERT_TRUE(windows) << windows.error().to_string();
    ASSERT_EQ(windows->size(), 1U);
    EXPECT_EQ(windows->front().to, format_lsn(whole_to));
    EXPECT_NE(windows->front().ends_because.find("does not go on"), std::string::npos);
}

TEST_F(RecoveryPointTest, ATimelineThatWroteNothingIsNoHoleForItsDescendants) {
    const Lsn first = wal_.checkpoint(begun_);
    (void)back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 5s);
    const Lsn fork = wal_.end();
    wal_.commit(begun_ + 9s);
    append(1, kLogBegin, fork);
    append(3, fork, wal_.end());
    // Of timeline 2 nobody has seen anything.
    const std::string at = format_lsn(fork), system = std::to_string(kSystem);
    ASSERT_TRUE(repository::put_origin(*repository_, wal_log_name({system, 3}),
                                       {wal_log_name({system, 2}), fork, "1\t" + at + "\tr\n\n2\t" + at + "\tr\n"}, rig::forever()));
    const auto point = choose("latest");
    ASSERT_TRUE(point) << point.error().to_string();
    ASSERT_TRUE(point->replay);
    EXPECT_EQ(point->replay->timeline, 3U);
    // What the plan promises is given out.
    const rig::Directory room;
    const auto answer = ask(wal_segment_name(3, kLogBegin, WalStream::kSegment), room.file("segment"), format_lsn(point->replay->stop.end));
    ASSERT_TRUE(answer) << answer.error().to_string();
    EXPECT_EQ(*answer, engine::ArchiveAnswer::kServed);
    std::string expected(wal_.from(kLogBegin));
    expected.resize(WalStream::kSegment);
    EXPECT_EQ(rig::read_file(room.file("segment")), expected);
    // A server on timeline 1 looks for 2 and then 3; without 2 it would end on 1.
    EXPECT_EQ(ask("00000002.history", room.file("history")).value(), engine::ArchiveAnswer::kServed);
    EXPECT_EQ(rig::read_file(room.file("history")), "1\t" + at + "\tr\n");
    EXPECT_EQ(ask("00000004.history", room.file("history")).value(), engine::ArchiveAnswer::kAbsent);
    // Timeline 1 is whole up to the fork, and left there, though none that was captured goes on from it directly.
    EXPECT_EQ(ask(wal_segment_name(1, kLogBegin, WalStream::kSegment), room.file("segment")).value(), engine::ArchiveAnswer::kAbsent);
}

TEST_F(RecoveryPointTest, WhatIsMissingBeforeAForkIsNoEndOfTheWal) {
    const Lsn first = wal_.checkpoint(begun_);
    (void)back_up(first, wal_.end(), begun_);
    const Lsn known = wal_.end();
    wal_.commit(begun_ + 5s);
    const Lsn fork = wal_.end();
    wal_.commit(begun_ + 9s);
    append(1, kLogBegin, known);  // the slot was lost here
    append(2, fork, wal_.end());
    const std::string system = std::to_string(kSystem);
    ASSERT_TRUE(repository::put_origin(*repository_, wal_log_name({system, 2}),
                                       {wal_log_name({system, 1}), fork, "1\t" + format_lsn(fork) + "\tr\n"}, rig::forever()));
    const rig::Directory room;
    const auto answer = ask(wal_segment_name(1, kLogBegin, WalStream::kSegment), room.file("segment"));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::kPartial);
    EXPECT_THAT(answer.error().message, HasSubstr(format_lsn(known)));
}

TEST_F(RecoveryPointTest, ABackupThatEndsBehindTheLogIsAPoint) {
    const Lsn first = wal_.checkpoint(begun_);
    wal_.commit(begun_ + 1s);
    const Lsn known = wal_.end();
    wal_.commit(begun_ + 2s);
    (void)back_up(first, wal_.end(), begun_);
    append(1, kLogBegin, known);  // its timeline was left here
    const auto windows = find_recovery_windows(*repository_, rig::forever()).value();
    ASSERT_EQ(windows.size(), 1U);
    EXPECT_EQ(windows[0].from, format_lsn(wal_.end()));
    EXPECT_EQ(windows[0].to, windows[0].from);
    EXPECT_FALSE(windows[0].until);
    EXPECT_EQ(windows[0].ends_because, "the WAL at " + format_lsn(known) + " is missing");
}

TEST_F(RecoveryPointTest, AHoleIsToldWithBothItsEnds) {
    const Lsn first = wal_.checkpoint(begun_);
    (void)back_up(first, wal_.end(), begun_);
    const Lsn last = wal_.commit(begun_ + 5s);
    const Lsn hole = wal_.end();
    wal_.commit(begun_ + 9s);
    const Lsn behind = wal_.other(100);
    wal_.commit(begun_ + 20s);
    append(1, kLogBegin, hole);
    append(1, behind, wal_.end());
    const std::string missing = "from " + format_lsn(hole) + " to " + format_lsn(behind);
    const auto refused = choose("2026-03-01T12:00:09Z");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find(missing), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().hint, "Restore what comes before it: --to lsn:" + format_lsn(hole) + ".");
    EXPECT_EQ(choose("latest")->replay->stop.last, last);
    auto windows = find_recovery_windows(*repository_, rig::forever()).value();
    ASSERT_EQ(windows.size(), 1U);
    ASSERT_TRUE(windows[0].gap);
    EXPECT_EQ(windows[0].to, format_lsn(hole));
    EXPECT_EQ(windows[0].gap->to, "") << "no backup is behind it";
    EXPECT_EQ(windows[0].gap->missing, std::vector<std::string>{"the WAL of timeline 1 " + missing});
    // A backup makes good for it, as far as its own log goes.
    const Lsn captured_to = wal_.end();
    while (wal_.end() < kLogBegin + WalStream::kSegment) wal_.other(5000);
    const Lsn second = wal_.checkpoint(begun_ + 30s);
    append(1, captured_to, wal_.end());
    (void)back_up(second, wal_.end(), begun_ + 30s);
    wal_.commit(begun_ + 40s);
    windows = find_recovery_windows(*repository_, rig::forever()).value();
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_EQ(windows[0].gap->to, windows[1].from);
    EXPECT_EQ(windows[0].gap->to_time, windows[1].since);
}

TEST_F(RecoveryPointTest, ATimeIsOfTheOlderClusterOnlyWhereTheNewerOneHadNotBegun) {
    const Lsn first = wal_.checkpoint(begun_);
    const std::string older = back_up(first, wal_.end(), begun_);
    wal_.commit(begun_ + 5s);
    wal_.commit(begun_ + 60min);  // it lived on
    capture();
    // The cluster after it: what it wrote behind its backup's end is missing.
    const Lsn end = wal_.end();
    (void)back_up(first, end, begun_ + 10min, kSystem + 1);
    wal_.other(10'000);
    const Lsn behind = end / WalStream::kSegment * WalStream::kSegment + WalStream::kSegment;
    while (wal_.end() < behind + WalStream::kPage) wal_.other(5'000);
    append(1, behind, wal_.end(), kSystem + 1);
    const auto refused = choose("2026-03-01T12:20:00Z");
    ASSERT_FALSE(refused) << "of backup " << refused->backup.id;
    EXPECT_NE(refused.error().message.find("does not have the WAL"), std::string::npos) << refused.error().message;
    const auto point = choose("2026-03-01T12:00:04Z");
    ASSERT_TRUE(point) << point.error().to_string();
    EXPECT_EQ(point->backup.id, older);
    ASSERT_EQ(point->notes.size(), 1U);
    EXPECT_NE(point->notes.front().find("newer backups are of another one"), std::string::npos) << point->notes.front();
}

}  // namespace
}  // namespace aeterna::postgres
