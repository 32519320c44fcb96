// From a stream of WAL to the record after which a recovery stops.
#include <gtest/gtest.h>

#include <random>

#include "postgres/client/wal.h"
#include "postgres/restore/recovery_target.h"
#include "postgres/capture/wal_path.h"
#include "wal_stream.h"

namespace aeterna::postgres {
namespace {

using testing::WalStream;
using Kind = RecoveryTarget::Kind;
using Verdict = StopFinder::Verdict;

constexpr std::uint64_t kBegin = 0x3000000;
const WallTime kNoon = *parse_time("2026-03-01T12:00:00Z");

std::vector<WalRecord> read(std::string_view bytes, std::uint64_t at, std::size_t step = 1 << 30) {
    WalRecordReader reader(at, WalStream::kSegment);
    std::vector<WalRecord> records;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
        const auto goes_on = reader.add(bytes.substr(0, step), [&](const WalRecord& record) {
            records.push_back(record);
            return true;
        });
        EXPECT_TRUE(goes_on) << goes_on.error().to_string();
        if (!goes_on || !*goes_on) break;
    }
    return records;
}

TEST(WalRecords, AreFoundWhereverTheStreamIsCut) {
    WalStream wal(kBegin);
    std::mt19937 random(3);
    std::vector<std::uint64_t> begins;
    for (int i = 0; i < 400; ++i) begins.push_back(wal.other(random() % 9000));
    const auto whole = read(wal.from(kBegin), kBegin);
    ASSERT_EQ(whole.size(), begins.size());
    for (std::size_t i = 0; i < begins.size(); ++i) {
        EXPECT_EQ(whole[i].begin, begins[i]);
        const std::uint64_t next = i + 1 < begins.size() ? begins[i + 1] : wal.end();
        // Behind the end of a page comes its header.
        EXPECT_TRUE(whole[i].end == next || (whole[i].end % WalStream::kPage == 0 && next - whole[i].end <= 40)) << i;
    }
    for (const std::size_t step : {1, 7, 24, 4096, 8191}) EXPECT_EQ(read(wal.from(kBegin), kBegin, step).size(), begins.size());
    // From any record, and from any page: with the first one that begins in it.
    for (const std::size_t i : {1, 57, 399}) EXPECT_EQ(read(wal.from(whole[i - 1].end), whole[i - 1].end).front().begin, begins[i]);
    for (std::uint64_t page = kBegin; page < wal.end(); page += WalStream::kPage) {
        const auto records = read(wal.from(page), page);
        const auto first = std::lower_bound(begins.begin(), begins.end(), page);
        ASSERT_EQ(records.size(), static_cast<std::size_t>(begins.end() - first));
        if (!records.empty()) {
            EXPECT_EQ(records.front().begin, *first);
        }
    }
}

TEST(WalRecords, SayWhatTheyAre) {
    WalStream wal(kBegin);
    wal.commit(kNoon, 742);
    wal.abort(kNoon + 1s, 743);
    wal.restore_point(kNoon + 2s, "before-migration");
    wal.checkpoint(kNoon + 3s);
    wal.other(10);
    const auto records = read(wal.from(kBegin), kBegin);
    ASSERT_EQ(records.size(), 5U);
    EXPECT_EQ(records[0].kind, WalRecord::Kind::kCommit);
    EXPECT_EQ(records[0].xid, 742U);
    EXPECT_EQ(records[0].time, kNoon);
    EXPECT_EQ(records[1].kind, WalRecord::Kind::kAbort);
    EXPECT_EQ(records[1].time, kNoon + 1s);
    EXPECT_EQ(records[2].kind, WalRecord::Kind::kRestorePoint);
    EXPECT_EQ(records[2].name, "before-migration");
    EXPECT_EQ(records[3].kind, WalRecord::Kind::kCheckpoint);
    EXPECT_EQ(records[3].time, kNoon + 3s);
    EXPECT_EQ(records[4].kind, WalRecord::Kind::kOther);
}

TEST(WalRecords, SayWhichTablespacesAreMade) {
    WalStream wal(kBegin);
    wal.tablespace("/srv/fast");
    wal.tablespace(std::string(300, 'x'));
    wal.record(5, 0x10, std::string(4, '\1'));  // dropped
    const auto records = read(wal.from(kBegin), kBegin);
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[0].kind, WalRecord::Kind::kTablespace);
    EXPECT_EQ(records[0].name, "/srv/fast");
    EXPECT_EQ(records[1].kind, WalRecord::Kind::kTablespace);
    EXPECT_EQ(records[1].name, "") << "longer than what is kept of a record";
    EXPECT_EQ(records[2].kind, WalRecord::Kind::kOther);
}

TEST(WalRecords, GoOnBehindASwitchOfSegments) {
    WalStream wal(kBegin);
    wal.other(100);
    const std::uint64_t at = wal.switch_segment();
    const std::uint64_t next = wal.other(100);
    const auto records = read(wal.from(kBegin), kBegin, 1000);
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[1].begin, at);
    EXPECT_EQ(records[1].end, at + 32) << "the rest of its segment need not be there";
    EXPECT_EQ(records[2].begin, next);
}

TEST(WalRecords, OneThatACrashCutIsLeftOut) {
    WalStream wal(kBegin);
    wal.other(7000);
    wal.half_record(5000);
    const std::uint64_t next = wal.other(10);
    const auto records = read(wal.from(kBegin), kBegin);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1].begin, next);
}

TEST(WalRecords, OneThatACrashCutIsLeftOutWhereItsBeginningWasNotSeen) {
    WalStream wal(kBegin);
    wal.other(7000);
    wal.half_record(20'000, 2);
    const std::uint64_t next = wal.other(10);
    const auto records = read(wal.from(kBegin + WalStream::kPage), kBegin + WalStream::kPage);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].begin, next);
}

TEST(WalRecords, WhatDoesNotGoOnIsSaid) {
    WalStream wal(kBegin);
    for (int i = 0; i < 10; ++i) wal.other(3000);
    const auto broken = [&](std::size_t at, char value) {
        std::string bytes(wal.from(kBegin));
        bytes[at] = value;
        WalRecordReader reader(kBegin, WalStream::kSegment);
        const auto done = reader.add(bytes, [](const WalRecord&) { return true; });
        return done ? ErrorCode::kInternal : done.error().code;
    };
    EXPECT_EQ(broken(8192 + 1, 0), ErrorCode::kCorrupt) << "no page";
    EXPECT_EQ(broken(8192 + 9, 'x'), ErrorCode::kCorrupt) << "a page of another place";
    EXPECT_EQ(broken(8192 + 2, 0), ErrorCode::kCorrupt) << "a page that does not go on with the record";
    EXPECT_EQ(broken(8192 + 16, 0), ErrorCode::kCorrupt) << "another rest";
    EXPECT_EQ(broken(40 + 3030 / 8 * 8 + 8, 'x'), ErrorCode::kCorrupt) << "another record before it";
    EXPECT_EQ(broken(40 + 1000, 'y'), ErrorCode::kCorrupt) << "another content";
    EXPECT_EQ(broken(40 + 4, 'y'), ErrorCode::kCorrupt) << "another transaction";
}

TEST(RecoveryTargetWord, IsRead) {
    EXPECT_EQ(parse_recovery_target("latest")->kind, Kind::kLatest);
    EXPECT_EQ(parse_recovery_target("2026-03-01T12:00:00Z")->time, kNoon);
    EXPECT_EQ(parse_recovery_target("2026-03-01T13:00:00.000+01:00")->time, kNoon);
    EXPECT_EQ(parse_recovery_target("lsn:0/3000148")->lsn, 0x3000148U);
    EXPECT_EQ(parse_recovery_target("name:before 2026")->word, "before 2026");
    EXPECT_EQ(parse_recovery_target("xid:742")->xid, 742U);
    for (const char* id : {"2026", "20261126T221426400Z-9c2ac1e8", "20261126T2"}) EXPECT_EQ(parse_recovery_target(id)->kind, Kind::kBackup) << id;
    for (const char* word : {"", "now", "2026-03-01", "2026-03-01T12:00:00", "lsn:", "lsn:3000148", "name:", "xid:x", "xid:0", "xid:4294967296",
                             "time:x", "12:00"}) {
        const auto target = parse_recovery_target(word);
        ASSERT_FALSE(target) << word;
        EXPECT_EQ(target.error().code, ErrorCode::kUsage) << word;
    }
    EXPECT_FALSE(parse_recovery_target("name:" + std::string(64, 'x')));
}

// A backup whose end is behind the first record; commits at noon and each second from then on.
struct Story {
    WalStream wal{kBegin};
    std::vector<WalRecord> records;
    Lsn consistent = 0;

    Story() {
        wal.checkpoint(kNoon - 60s);
        for (int i = 0; i < 5; ++i) {
            wal.other(50);
            wal.commit(kNoon + i * 1s, 100 + static_cast<std::uint32_t>(i));
        }
        wal.restore_point(kNoon + 4500ms, "here");
        wal.other(50);
        records = read(wal.from(kBegin), kBegin);
        consistent = records[0].end;
    }
    std::pair<Verdict, RecoveryStop> find(const std::string& word, Lsn consistent_at, Lsn seen_to = 0) {
        StopFinder finder(*parse_recovery_target(word), consistent_at);
        for (const WalRecord& record : records) {
            if (!finder.see(record)) break;
        }
        const Verdict verdict = finder.finish(seen_to == 0 ? wal.end() : seen_to);
        return {verdict, verdict == Verdict::kFound ? finder.stop() : RecoveryStop{}};
    }
    std::pair<Verdict, RecoveryStop> find(const std::string& word) { return find(word, consistent); }
};

TEST(StopFinder, LatestIsTheLastRecord) {
    Story story;
    const auto [verdict, stop] = story.find("latest");
    EXPECT_EQ(verdict, Verdict::kFound);
    EXPECT_EQ(stop.last, story.records.back().begin);
    EXPECT_EQ(stop.end, story.wal.end());
    EXPECT_EQ(stop.commits, 5U);
    EXPECT_EQ(stop.last_commit, kNoon + 4s);
    EXPECT_FALSE(stop.next_commit);
    EXPECT_EQ(story.find("latest", story.wal.end() + 8).first, Verdict::kAtBackup) << "the WAL ends before the backup does";
}

TEST(StopFinder, ATimeIsTheRecordBeforeTheFirstYoungerCommit) {
    Story story;
    const auto [verdict, stop] = story.find("2026-03-01T12:00:01.5Z");
    EXPECT_EQ(verdict, Verdict::kFound);
    EXPECT_EQ(stop.end, story.records[5].end) << "what lies between two commits is replayed";
    EXPECT_EQ(stop.last_commit, kNoon + 1s);
    EXPECT_EQ(stop.next_commit, kNoon + 2s);
    EXPECT_EQ(story.find("2026-03-01T12:00:01Z").second.last_commit, kNoon + 1s) << "a commit at that time is in it";
    EXPECT_EQ(story.find("2026-03-01T12:00:05Z").first, Verdict::kBehind);
    EXPECT_EQ(story.find("2026-03-01T11:59:30Z").second.end, story.records[1].end);
    EXPECT_EQ(story.find("2026-03-01T12:00:01Z", story.records[6].end).first, Verdict::kBefore) << "committed while the backup was taken";
    EXPECT_EQ(story.find("2026-03-01T12:00:01Z", story.records[4].end).second.end, story.records[5].end);
}

TEST(StopFinder, ACheckpointProvesThatATimeIsOver) {
    Story story;
    story.wal.checkpoint(kNoon + 60s);
    story.records = read(story.wal.from(kBegin), kBegin);
    const auto [verdict, stop] = story.find("2026-03-01T12:00:30Z");
    EXPECT_EQ(verdict, Verdict::kFound);
    EXPECT_EQ(stop.end, story.records.back().begin);
}

TEST(StopFinder, APositionIsTheLastRecordThatEndsByThen) {
    Story story;
    const auto word = [](Lsn lsn) { return "lsn:" + format_lsn(lsn); };
    EXPECT_EQ(story.find(word(story.records[4].end)).second.last, story.records[4].begin);
    EXPECT_EQ(story.find(word(story.records[4].end - 1)).second.last, story.records[3].begin);
    EXPECT_EQ(story.find(word(story.wal.end())).second.last, story.records.back().begin);
    EXPECT_EQ(story.find(word(story.wal.end() + 1)).first, Verdict::kBehind);
    EXPECT_EQ(story.find(word(story.consistent - 1)).first, Verdict::kBefore);
}

TEST(StopFinder, NamesTheTablespacesThatAreMadeOnTheWay) {
    Story story;
    story.wal.tablespace("/srv/fast");
    story.wal.commit(kNoon + 10s);
    story.wal.tablespace("/srv/later");
    story.wal.commit(kNoon + 20s);
    story.records = read(story.wal.from(kBegin), kBegin);
    using Directories = std::vector<std::string>;
    EXPECT_EQ(story.find("2026-03-01T12:00:03Z").second.tablespaces, Directories{});
    EXPECT_EQ(story.find("xid:104").second.tablespaces, Directories{}) << "the record before it is the last";
    EXPECT_EQ(story.find("2026-03-01T12:00:05Z").second.tablespaces, Directories{"/srv/fast"}) << "made, whether or not it is committed";
    EXPECT_EQ(story.find("latest").second.tablespaces, (Directories{"/srv/fast", "/srv/later"}));
}

TEST(StopFinder, ANameAndATransaction) {
    Story story;
    EXPECT_EQ(story.find("name:here").second.last, story.records[11].begin);
    EXPECT_EQ(story.find("name:there").first, Verdict::kBehind);
    EXPECT_EQ(story.find("name:here", story.records[12].end).first, Verdict::kBefore);
    const auto [verdict, stop] = story.find("xid:101");
    EXPECT_EQ(verdict, Verdict::kFound);
    EXPECT_EQ(stop.last, story.records[4].begin);
    EXPECT_EQ(stop.next_commit, kNoon + 2s);
    EXPECT_EQ(story.find("xid:101", story.records[6].end).first, Verdict::kBefore);
    story.wal.restore_point(kNoon + 9s, "here");
    story.wal.commit(kNoon + 10s);
    story.records = read(story.wal.from(kBegin), kBegin);
    EXPECT_EQ(story.find("name:here").second.last, story.records[13].begin) << "the newest";
    EXPECT_EQ(story.find("name:here").second.next_commit, kNoon + 10s);
}

TEST(WalPath, GoesThroughTheAncestors) {
    const auto path = make_wal_path("1", 4, "1\t0/3000148\tr\n2\t0/3000148\tr\n3\t0/5000000\tr\n");
    ASSERT_TRUE(path);
    ASSERT_EQ(path->parts.size(), 3U) << "timeline 2 wrote nothing";
    EXPECT_EQ(path->parts[0], (WalPath::Part{1, 0, 0x3000148}));
    EXPECT_EQ(path->parts[1], (WalPath::Part{3, 0x3000148, 0x5000000}));
    EXPECT_EQ(path->parts[2].timeline, 4U);
    EXPECT_TRUE(path->has(1, 0x3000148));
    EXPECT_FALSE(path->has(1, 0x3000149)) << "a dead branch";
    EXPECT_FALSE(path->has(2, 0x3000148));
    EXPECT_TRUE(path->has(4, 0x9000000));
    EXPECT_EQ(make_wal_path("1", 1, "")->parts.size(), 1U);
    EXPECT_FALSE(make_wal_path("1", 2, "x"));
}

}  // namespace
}  // namespace aeterna::postgres
