// Engines: what their output means, and which backup leads to a recovery target by what their archive has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "base/strings.h"
#include "postgres/engines/driver.h"
#include "postgres/engines/engine_program.h"
#include "postgres/engines/pgbackrest_output.h"
#include "postgres/engines/restored_directory.h"
#include "postgres/engines/wal_g_output.h"
#include "../support/fake_env.h"

namespace aeterna::postgres::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint64_t kSegment = kDefaultSegmentBytes;

WallTime at(int seconds) { return WallTime(std::chrono::seconds(1795752000 + seconds)); }

EngineBackup backup(const std::string& id, std::uint64_t segment, int finished, Timeline timeline = 1) {
    EngineBackup one;
    one.id = id;
    one.type = "full";
    one.started_at = at(finished - 5);
    one.finished_at = at(finished);
    one.timeline = timeline;
    one.from = segment * kSegment + 40;
    one.to = segment * kSegment + 256;
    one.bytes = 1000;
    return one;
}

// Segments 1 to 9 of timeline 1, stored at 10 s, 20 s …; backups in 2 and 6.
EngineCatalog catalog() {
    EngineCatalog result;
    for (std::uint64_t number = 1; number <= 9; ++number)
        result.wal.segments[1][number] = at(static_cast<int>(number) * 10);
    result.backups = {backup("A", 2, 20), backup("B", 6, 60)};
    return result;
}

Result<EnginePoint> choose(const EngineCatalog& catalog, const std::string& to, std::optional<Timeline> timeline = {}) {
    RecoveryTarget target;
    if (to.size() == 1) {
        target.kind = RecoveryTarget::Kind::kBackup;
        target.word = to;
    } else {
        target = *parse_recovery_target(to);
    }
    return choose_engine_point(catalog, target, timeline);
}

std::string time_word(int seconds) { return format_time(at(seconds)); }

// --------------------------------------------------------------------------------------------------- which backup

TEST(EnginePoint, TheNewestThatIsOldEnough) {
    const auto latest = choose(catalog(), "latest");
    ASSERT_TRUE(latest) << latest.error().to_string();
    EXPECT_EQ(latest->backup.id, "B");
    EXPECT_EQ(latest->stretch->to, 10 * kSegment);
    EXPECT_THAT(latest->notes, IsEmpty());
    const std::map<std::string, std::string> settings{{"recovery_target_timeline", "1"},
                                                      {"recovery_target_action", "promote"}};
    EXPECT_EQ(latest->settings, settings);
    EXPECT_EQ(choose(catalog(), time_word(59))->backup.id, "A");
    EXPECT_EQ(choose(catalog(), time_word(60))->backup.id, "B");
    EXPECT_EQ(choose(catalog(), time_word(60))->settings.at("recovery_target_time"), "2026-11-27 04:01:00.000000+00");
    EXPECT_EQ(choose(catalog(), "2026-11-27T05:01:00.123456+01:00")->settings.at("recovery_target_time"),
              "2026-11-27 04:01:00.123456+00");
    EXPECT_EQ(choose(catalog(), "lsn:" + format_lsn(6 * kSegment + 255))->backup.id, "A");
    EXPECT_EQ(choose(catalog(), "lsn:" + format_lsn(6 * kSegment + 256))->backup.id, "B");
    EXPECT_EQ(choose(catalog(), "name:here")->settings.at("recovery_target_name"), "here");
    EXPECT_EQ(choose(catalog(), "A")->settings.at("recovery_target"), "immediate");
}

TEST(EnginePoint, BeforeAllAndBehindAllIsNotFound) {
    for (const std::string& to :
         {time_word(19), time_word(91), "lsn:" + format_lsn(2 * kSegment), "lsn:" + format_lsn(10 * kSegment + 1)}) {
        const auto point = choose(catalog(), to);
        ASSERT_FALSE(point) << to;
        EXPECT_EQ(point.error().code, ErrorCode::kNotFound) << to;
        EXPECT_FALSE(point.error().hint.empty());
    }
    EXPECT_TRUE(choose(catalog(), time_word(90)));
    EXPECT_TRUE(choose(catalog(), "lsn:" + format_lsn(10 * kSegment)));
    EXPECT_EQ(choose(EngineCatalog{}, "latest").error().code, ErrorCode::kNotFound);
    EXPECT_EQ(choose(catalog(), "C").error().code, ErrorCode::kNotFound);
}

TEST(EnginePoint, ABackupWithoutItsOwnWalIsPassedOver) {
    EngineCatalog hit = catalog();
    hit.wal.segments[1].erase(6);
    const auto latest = choose(hit, "latest");
    ASSERT_TRUE(latest);
    EXPECT_EQ(latest->backup.id, "A");
    EXPECT_EQ(latest->stretch->to, 6 * kSegment);
    ASSERT_EQ(latest->notes.size(), 2U);
    EXPECT_THAT(latest->notes[0], HasSubstr("backup B is left out: its WAL '000000010000000000000006'"));
    EXPECT_THAT(latest->notes[1], HasSubstr("WAL is missing from '000000010000000000000006' on"));
    EXPECT_EQ(choose(hit, "B").error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(choose(hit, time_word(70)).error().code, ErrorCode::kNotFound) << "behind the hole";
    std::vector<std::string> problems, hits;
    check_archive(hit, problems, hits);
    EXPECT_THAT(hits, ElementsAre("B"));
    EXPECT_EQ(problems.size(), 2U) << "and the hole behind the newest that is whole";
}

TEST(EnginePoint, WindowsEndAtHoles) {
    EngineCatalog hit = catalog();
    hit.wal.segments[1].erase(4);
    const auto windows = engine_windows(hit, "main");
    ASSERT_EQ(windows.size(), 2U);
    EXPECT_THAT(windows[0].backups, ElementsAre("A"));
    EXPECT_EQ(windows[0].to, format_lsn(4 * kSegment));
    EXPECT_THAT(windows[0].ends_because, HasSubstr("000000010000000000000004"));
    EXPECT_THAT(windows[1].backups, ElementsAre("B"));
    EXPECT_EQ(windows[1].ends_because, "");
    std::vector<std::string> problems, hits;
    check_archive(hit, problems, hits);
    EXPECT_THAT(problems, IsEmpty()) << "an old hole is what retention leaves";
    ASSERT_EQ(engine_windows(catalog(), "main").size(), 1U);
    EXPECT_THAT(engine_windows(catalog(), "main")[0].backups, ElementsAre("A", "B"));
}

TEST(EnginePoint, OverATimelineSwitch) {
    EngineCatalog forked = catalog();
    // Timeline 2 went on in the middle of segment 5: B, on timeline 1, is on a dead branch.
    forked.wal.histories[2] = "1\t" + format_lsn(5 * kSegment + 1000) + "\tno recovery target specified\n";
    for (std::uint64_t number = 5; number <= 7; ++number) forked.wal.segments[2][number] = at(100);
    const auto latest = choose(forked, "latest");
    ASSERT_TRUE(latest) << latest.error().to_string();
    EXPECT_EQ(latest->backup.id, "A");
    EXPECT_EQ(latest->timeline, 2U);
    EXPECT_EQ(latest->stretch->to, 8 * kSegment);
    EXPECT_EQ(choose(forked, "latest", 1)->backup.id, "B");
    EXPECT_EQ(choose(forked, "B")->settings.at("recovery_target_timeline"), "1") << "as it is, on its own timeline";
    EXPECT_FALSE(choose(forked, "latest", 3));
    forked.wal.histories.clear();
    EXPECT_THAT(choose(forked, "latest").error().message, HasSubstr("00000002.history"));
}

TEST(EnginePoint, ALostTimelineIsNoCleanArchive) {
    EngineCatalog lost = catalog();
    lost.wal.segments[2][9] = at(100);  // its history file is not there
    EXPECT_FALSE(choose(lost, "latest"));
    EXPECT_EQ(choose(lost, "latest", 1)->backup.id, "B");
    const auto windows = engine_windows(lost, "main");
    ASSERT_EQ(windows.size(), 1U) << "the older timeline can be restored";
    EXPECT_EQ(windows[0].timeline, 1U);
    EXPECT_THAT(windows[0].backups, ElementsAre("A", "B"));
    EXPECT_THAT(windows[0].ends_because, HasSubstr("00000002.history"));
    std::vector<std::string> problems, hits;
    check_archive(lost, problems, hits);
    EXPECT_THAT(problems, ElementsAre(HasSubstr("00000002.history")));
    lost.wal.segments[1].erase(7);
    problems.clear();
    check_archive(lost, problems, hits);
    EXPECT_EQ(problems.size(), 2U) << "the hole as well";
    lost.wal.histories[2] = "garbage";
    lost.wal.segments.erase(1);
    problems.clear();
    check_archive(lost, problems, hits);
    EXPECT_TRUE(engine_windows(lost, "main").empty());
    EXPECT_EQ(problems.size(), 3U) << "each backup's own WAL, and the way";
}

TEST(EnginePoint, DamagedPagesAreTold) {
    EngineCatalog damaged = catalog();
    damaged.backups.back().has_damaged_pages = true;
    EXPECT_THAT(choose(damaged, "latest")->notes, ElementsAre(HasSubstr("page checksums")));
    std::vector<std::string> problems, hits;
    check_archive(damaged, problems, hits);
    EXPECT_THAT(hits, ElementsAre("B"));
}

TEST(ArchivedWal, SegmentSizesByTheirNames) {
    EXPECT_EQ(segment_bytes_by(*parse_wal_segment_name("000000010000000000000002"), 0x2000028), 16U << 20);
    EXPECT_EQ(segment_bytes_by(*parse_wal_segment_name("000000010000000000000001"), 0x4000028), 64U << 20);
    EXPECT_EQ(segment_bytes_by(*parse_wal_segment_name("000000010000000100000000"), 0x100000028), 16U << 20)
        << "the usual one of several";
    EXPECT_EQ(segment_bytes_by(*parse_wal_segment_name("000000010000000100000002"), 0x2000028), std::nullopt);
}

// ------------------------------------------------------------------------------------------------------ pgBackRest

// As 2.45 prints it.
std::string info_text(const std::string& error = R"("error":false,)") {
    return R"([{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000002","min":"000000010000000000000001"}],)"
           R"("backup":[{"archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"},"backrest":{"format":5,"version":"2.45"},)"
           R"("database":{"id":1,"repo-key":1},)" +
           error +
           R"("info":{"delta":22992584,"repository":{"delta":2823175,"size":2823175},"size":22992584},"label":"20261127-040327F",)"
           R"("lsn":{"start":"0/2000028","stop":"0/2000100"},"prior":null,"reference":null,"timestamp":{"start":1795752207,"stop":1795752212},"type":"full"}],)"
           R"("cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7712696961877943648,"version":"15"}],"name":"main",)"
           R"("repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}])";
}

TEST(PgBackRest, ReadsInfo) {
    const auto info = parse_pgbackrest_info(info_text(), "main");
    ASSERT_TRUE(info) << info.error().to_string();
    ASSERT_EQ(info->backups.size(), 1U);
    const EngineBackup& one = info->backups[0];
    EXPECT_EQ(std::tie(one.id, one.type, one.timeline, one.from, one.to),
              std::make_tuple(std::string("20261127-040327F"), std::string("full"), Timeline{1}, Lsn{0x2000028},
                              Lsn{0x2000100}));
    EXPECT_EQ(one.has_damaged_pages, false);
    EXPECT_EQ(one.system_identifier, "7712696961877943648");
    EXPECT_EQ(info->archives[0].id, "15-1");
    EXPECT_TRUE(judge_pgbackrest_stanza(*info, "main"));
    EXPECT_EQ(parse_pgbackrest_info(info_text(""), "main")->backups[0].has_damaged_pages, std::nullopt);
    EXPECT_EQ(parse_pgbackrest_info(info_text(R"("error":true,)"), "main")->backups[0].has_damaged_pages, true);
}

// As its info.c prints a backup with --no-online.
TEST(PgBackRest, AColdBackupIsLeftOut) {
    std::string text = info_text();
    const std::string archive = R"("archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"})",
                      lsn = R"("lsn":{"start":"0/2000028","stop":"0/2000100"},)";
    text.replace(text.find(archive), archive.size(), R"("archive":{"start":null,"stop":null})");
    EXPECT_FALSE(parse_pgbackrest_info(text, "main")) << "half of it is not understood";
    text.erase(text.find(lsn), lsn.size());
    const auto info = parse_pgbackrest_info(text, "main");
    ASSERT_TRUE(info) << info.error().to_string();
    EXPECT_TRUE(info->backups.empty());
}

TEST(PgBackRest, WhatIsNoInfoIsNotUnderstood) {
    for (const char* part : {R"("name":"main")", R"("lsn")", R"("timestamp")", R"("archive":{)", R"("repo":)",
                             R"("db":)", R"("label":)", R"("status":)"}) {
        std::string text = info_text();
        text.replace(text.find(part) + 1, 1, "X");
        EXPECT_FALSE(parse_pgbackrest_info(text, "main")) << part;
    }
    EXPECT_FALSE(parse_pgbackrest_info("[]", "main"));
    EXPECT_FALSE(parse_pgbackrest_info("", "main"));
}

TEST(PgBackRest, AStanzaThatIsNotThere) {
    const auto info = parse_pgbackrest_info(
        R"([{"archive":[],"backup":[],"cipher":"none","db":[],"name":"other","repo":[{"cipher":"none","key":1,"status":{"code":1,)"
        R"("message":"missing stanza path"}}],"status":{"code":1,"lock":{"backup":{"held":false}},"message":"missing stanza path"}}])",
        "other");
    ASSERT_TRUE(info) << info.error().to_string();
    const Status judged = judge_pgbackrest_stanza(*info, "other");
    ASSERT_FALSE(judged);
    EXPECT_EQ(judged.error().code, ErrorCode::kConfiguration);
    EXPECT_THAT(judged.error().message, HasSubstr("missing stanza path"));
}

TEST(PgBackRest, OneOfTwoRepositoriesIsEnough) {
    const auto judge = [](int second, const std::string& message, int overall) {
        std::string text = info_text();
        const std::string one = R"({"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,)";
        const std::string both = R"({"cipher":"none","key":1,"status":{"code":0,"message":"ok"}},{"cipher":"none","key":2,"status":{"code":)" +
                                 std::to_string(second) + R"(,"message":")" + message + R"("}}],"status":{"code":)" + std::to_string(overall) + ",";
        text.replace(text.find(one), one.size(), both);
        const auto info = parse_pgbackrest_info(text, "main");
        return info ? judge_pgbackrest_stanza(*info, "main") : Status(info.error());
    };
    EXPECT_TRUE(judge(2, "no valid backups", 4)) << "the second is new";
    EXPECT_TRUE(judge(1, "missing stanza path", 4));
    EXPECT_FALSE(judge(0, "ok", 5)) << "two clusters";
    EXPECT_FALSE(judge(99, "other", 5)) << "two clusters, and one trouble more";
    PgBackRestInfo bad;
    bad.code = 4;
    bad.places = {1, 2};
    bad.troubles = {"repository 1: missing stanza path", "repository 2: other"};
    EXPECT_FALSE(judge_pgbackrest_stanza(bad, "main"));
}

TEST(PgBackRest, NamesTablespaces) {
    const std::string text = R"([{"backup":[{"label":"A","tablespace":[{"destination":"/srv/ts2","name":"other","oid":16387}]},{"label":"B"}]}])";
    const auto found = pgbackrest_tablespaces(text, "A");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].oid, 16387U);
    EXPECT_EQ(found[0].location, "/srv/ts2");
    EXPECT_THAT(pgbackrest_tablespaces(text, "B"), IsEmpty());
    EXPECT_THAT(pgbackrest_tablespaces("no JSON", "A"), IsEmpty());
}

TEST(PgBackRest, ListsTheArchive) {
    ArchivedWal wal;
    std::vector<std::string> histories;
    const std::string text =
        R"({".":{"type":"path"},"0000000100000000":{"type":"path"},)"
        R"("0000000100000000/000000010000000000000002-71fc.zst":{"type":"file","size":681,"time":1795752010},)"
        R"("0000000100000000/000000010000000000000003-71fc":{"type":"file","size":0,"time":1795752010},)"
        R"("0000000100000000/000000010000000000000004.partial-71fc.zst":{"type":"file","size":681,"time":1795752010},)"
        R"("0000000100000000/000000010000000000000002.00000028.backup":{"type":"file","size":371,"time":1795752010},)"
        R"("00000002.history":{"type":"file","size":37,"time":1795752010}})";
    ASSERT_TRUE(read_pgbackrest_listing(text, wal, histories));
    EXPECT_THAT(histories, ElementsAre("00000002.history"));
    ASSERT_EQ(wal.segments[1].size(), 1U) << "an empty file is no segment";
    EXPECT_EQ(wal.segments[1].at(2), at(11)) << "in the middle of that second a segment may still have been missing";
    EXPECT_FALSE(read_pgbackrest_listing("nothing", wal, histories));
}

engine::EngineCheck verify(const std::string& text, const std::vector<std::string>& expected = {"20261127-040327F"}) {
    engine::EngineCheck check;
    read_pgbackrest_verify(text, "main", expected, check);
    return check;
}

constexpr const char* kWell =
    "stanza: main\nstatus: ok\n  archiveId: 15-1, total WAL checked: 2, total valid WAL: 2\n"
    "    missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n"
    "  backup: 20261127-040327F, status: valid, total files checked: 964, total valid files: 964\n"
    "    missing: 0, checksum invalid: 0, size invalid: 0, other: 0\n";

TEST(PgBackRest, VerifyIsReadToTheLetter) {
    const auto well = verify(kWell);
    EXPECT_THAT(well.problems, IsEmpty());
    EXPECT_THAT(well.not_verified, IsEmpty());
    const auto changed = [](const std::string& from, const std::string& to) {
        std::string text = kWell;
        text.replace(text.find(from), from.size(), to);
        return verify(text);
    };
    EXPECT_THAT(changed("status: valid", "status: invalid").hit_backups, ElementsAre("20261127-040327F"));
    EXPECT_THAT(changed("valid files: 964", "valid files: 963").hit_backups, ElementsAre("20261127-040327F"));
    EXPECT_THAT(changed("checked: 964, total valid files: 964", "checked: 0, total valid files: 0").hit_backups,
                ElementsAre("20261127-040327F"));
    EXPECT_FALSE(changed("valid WAL: 2", "valid WAL: 1").problems.empty());
    EXPECT_FALSE(changed("checksum invalid: 0", "checksum invalid: 1").problems.empty());
    EXPECT_FALSE(changed("status: ok", "status: error").problems.empty()) << "an error that no line names";
    EXPECT_FALSE(verify("stanza: main\nstatus: error\n  No usable backup.info file\n").problems.empty());
}

TEST(PgBackRest, WhatVerifyDoesNotSayIsNotVerified) {
    const std::string empty = "stanza: main\nstatus: ok\n    no archives or backups exist in the repo\n";
    EXPECT_THAT(verify(empty, {}).not_verified, IsEmpty()) << "a repository before its first backup";
    EXPECT_FALSE(verify(empty).not_verified.empty());
    EXPECT_FALSE(verify("").not_verified.empty());
    EXPECT_THAT(verify(kWell, {"20261127-040327F", "20261128-000000F"}).not_verified,
                ElementsAre("backup 20261128-000000F"));
    EXPECT_THAT(verify(std::string(kWell) + "something new: 1\n").not_verified,
                ElementsAre(HasSubstr("something new")));
    std::string text = kWell;
    EXPECT_FALSE(verify(text.replace(text.find("main"), 4, "else")).not_verified.empty());
    text = kWell;
    EXPECT_FALSE(verify(text.replace(text.find("status: valid"), 13, "status: in-progress")).not_verified.empty());
}

TEST(PgBackRest, ItsLogAndItsErrors) {
    EXPECT_EQ(pgbackrest_percent(
                  "2026-11-27 04:06:06.246 P01 DETAIL: backup file /data/base/5/1255 (768KB, 3.39%) checksum 46f8"),
              3.39);
    EXPECT_EQ(pgbackrest_percent("2026-11-27 04:06:06.246 P00   INFO: backup stop"), std::nullopt);
    EXPECT_EQ(pgbackrest_version("pgBackRest 2.45\n"), "2.45");
    EXPECT_THAT(
        pgbackrest_warnings("WARN: no prior backup exists, incr backup has been changed to full\nERROR: [055]: x\n"),
        ElementsAre("no prior backup exists, incr backup has been changed to full"));
    env::RunResult result;
    result.exit_status = 50;
    result.errors =
        "ERROR: [050]: unable to acquire lock on file '/x': Resource temporarily unavailable\n       HINT: is another "
        "process running?\n";
    EXPECT_EQ(judge_pgbackrest(result).error().code, ErrorCode::kLocked);
    result.exit_status = 39;
    result.errors = "ERROR: [039]: unable to write '/repo/x': [28] No space left on device\n";
    EXPECT_EQ(judge_pgbackrest(result).error().code, ErrorCode::kNoSpace);
    result.exit_status = 0;
    EXPECT_TRUE(judge_pgbackrest(result));
}

// ----------------------------------------------------------------------------------------------------------- WAL-G

constexpr const char* kWalGBackups =
    R"([{"backup_name":"base_000000010000000000000004_D_000000010000000000000002","time":"2026-11-27T04:10:00Z","wal_file_name":"000000010000000000000004",)"
    R"("storage_name":"default","start_time":"2026-11-27T04:09:50.5Z","finish_time":"2026-11-27T04:10:00.5Z","date_fmt":"%Y","hostname":"h","data_dir":"/d",)"
    R"("pg_version":150018,"start_lsn":67108904,"finish_lsn":67109120,"is_permanent":false,"system_identifier":7712696961877943648,)"
    R"("uncompressed_size":1000,"compressed_size":10},)"
    R"({"backup_name":"base_000000010000000000000002","time":"2026-11-27T04:00:00Z","wal_file_name":"000000010000000000000002",)"
    R"("start_time":"2026-11-27T03:59:50Z","finish_time":"2026-11-27T04:00:00Z","pg_version":150018,"start_lsn":33554472,"finish_lsn":33554688,)"
    R"("system_identifier":7712696961877943648,"uncompressed_size":23000000,"compressed_size":2800000}])";

TEST(WalG, ReadsItsBackups) {
    const auto backups = parse_wal_g_backups(kWalGBackups, "");
    ASSERT_TRUE(backups) << backups.error().to_string();
    ASSERT_EQ(backups->size(), 2U);
    EXPECT_EQ((*backups)[0].id, "base_000000010000000000000002");
    EXPECT_EQ((*backups)[1].parent, "base_000000010000000000000002");
    EXPECT_EQ((*backups)[1].type, "incr");
    EXPECT_EQ((*backups)[0].from, 0x2000028U);
    EXPECT_EQ((*backups)[0].server_version, "15");
    EXPECT_TRUE(parse_wal_g_backups("", "INFO: 2026/11/27 04:00:00.000000 No backups found\n")->empty());
    EXPECT_FALSE(parse_wal_g_backups("", "")) << "silence is no empty list";
    EXPECT_FALSE(parse_wal_g_backups(R"([{"backup_name":"base_000000010000000000000002"}])", ""));
}

TEST(WalG, KnowsItsTablespaces) {
    // As 3.0.9 prints it.
    const std::string head = R"({"LSN":67108904,"PgVersion":150018,"FinishLSN":67109120,)", tail = R"("ChkpNum":null,"Version":2})";
    const std::string spec = R"("Spec":{"16387":{"loc":"/srv/ts2","link":"pg_tblspc/16387"},"base_prefix":"/data","tablespaces":["16387"]},)";
    const auto found = parse_wal_g_tablespaces(head + spec + tail);
    ASSERT_TRUE(found) << found.error().to_string();
    EXPECT_THAT(*found, ElementsAre("/srv/ts2"));
    EXPECT_THAT(*parse_wal_g_tablespaces(head + tail), IsEmpty());
    EXPECT_THAT(*parse_wal_g_tablespaces(head + R"("Spec":null,)" + tail), IsEmpty());
    EXPECT_THAT(*parse_wal_g_tablespaces(head + R"("spec":{"tablespaces":["1"]},)" + tail), ElementsAre("?"));
    for (const std::string& other : {std::string(), std::string("{}"), std::string("[]"), head + R"("Spec":{"16387":{}},)" + tail,
                                     head + R"("Spec":"x",)" + tail, head + R"("Spec":{"tablespaces":1},)" + tail}) {
        EXPECT_FALSE(parse_wal_g_tablespaces(other)) << other;
    }
}

TEST(WalG, ADeltaComesWithWhatItBuildsOn) {
    std::vector<EngineBackup> backups = {backup("A", 2, 20), backup("B", 3, 30), backup("C", 4, 40)};
    backups[1].parent = "A";
    backups[2].parent = "B";
    std::vector<std::string> ids;
    for (const EngineBackup* one : lineage(backups, backups[2])) ids.push_back(one->id);
    EXPECT_THAT(ids, ElementsAre("C", "B", "A"));
    backups[0].parent = "C";
    EXPECT_LE(lineage(backups, backups[2]).size(), 4U) << "a ring ends";
}

TEST(WalG, ReadsItsArchive) {
    const std::string text =
        R"([{"id":1,"parent_id":0,"switch_point_lsn":0,"start_segment":"000000010000000000000001","end_segment":"000000010000000000000005",)"
        R"("segments_count":4,"missing_segments":["000000010000000000000003"],"segment_range_size":5,"status":"LOST_SEGMENTS"},)"
        R"({"id":2,"parent_id":1,"switch_point_lsn":83886080,"start_segment":"000000020000000000000005","end_segment":"000000020000000000000006",)"
        R"("segments_count":2,"missing_segments":[],"segment_range_size":2,"status":"OK"}])";
    ArchivedWal wal;
    const Status read = read_wal_g_archive(text, wal);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_EQ(wal.segments[1].size(), 4U);
    EXPECT_FALSE(wal.segments[1].contains(3));
    EXPECT_EQ(wal.newest(), 2U);
    ASSERT_TRUE(wal.path_to(2)) << wal.path_to(2).error().to_string();
    EXPECT_TRUE(wal.path_to(2)->has(1, 83886080));
    std::string other = text;
    other.replace(other.find("\"segments_count\":4"), 18, "\"segments_count\":5");
    EXPECT_FALSE(read_wal_g_archive(other, wal)) << "its numbers have to agree";
    // Timeline 2 has no whole segment: how it goes on from 1 nobody says.
    std::string gap = text;
    for (const auto& [from, to] : {std::pair<std::string, std::string>{R"({"id":2,"parent_id":1,)", R"({"id":3,"parent_id":2,)"},
                                   {"000000020000000000000005", "000000030000000000000005"},
                                   {"000000020000000000000006", "000000030000000000000006"}}) {
        gap.replace(gap.find(from), from.size(), to);
    }
    ArchivedWal part;
    ASSERT_TRUE(read_wal_g_archive(gap, part));
    EXPECT_EQ(part.newest(), 3U);
    EXPECT_FALSE(part.path_to(3));
}

// ---------------------------------------------------------------------------------------------- what they are asked

// One program, what it says, and how it was run.
class OneProgram final : public aeterna::testing::FakeProcesses {
  public:
    std::string says;
    std::vector<env::RunOptions> runs;

    Result<env::RunResult> run(const env::RunOptions& options, const env::Context&) override {
        runs.push_back(options);
        env::RunResult result;
        result.exit_status = 0;
        result.output = says;
        return result;
    }
    std::optional<std::string> find_program(const std::string& name, const std::vector<std::string>&) override { return "/bin/" + name; }
};

class EngineQuestions : public ::testing::Test {
  protected:
    std::unique_ptr<EngineDriver> driver(EngineSettings::Kind kind, const std::string& says) {
        settings_.kind = kind;
        settings_.program = "engine";
        settings_.stanza = "main";
        programs_.says = says;
        return make_engine_driver(settings_, env_);
    }
    std::unique_ptr<engine::BackupEngine> engine() {
        settings_.kind = EngineSettings::Kind::kPgBackRest;
        return make_backup_engine(settings_, env_, nullptr);
    }
    const env::Context context_{MonoTime::max(), {}, ""};
    OneProgram programs_;

  private:
    aeterna::testing::FakeEnv fake_;
    EngineSettings settings_;
    env::Env env_{fake_.clock, fake_.random, fake_.threads, fake_.files, programs_, fake_.dialer, fake_.http, fake_.http_listener, fake_.sql, fake_.log};
};

TEST_F(EngineQuestions, AListOfBackupsDoesNotReadTheArchive) {
    for (const auto& [kind, says] : {std::pair(EngineSettings::Kind::kWalG, std::string(kWalGBackups)),
                                     std::pair(EngineSettings::Kind::kPgBackRest, info_text())}) {
        programs_.runs.clear();
        EXPECT_FALSE(driver(kind, says)->read_backups(context_)->empty());
        EXPECT_EQ(programs_.runs.size(), 1U);
    }
}

TEST_F(EngineQuestions, NoOptionOfOurOwnBackupsIsIgnored) {
    for (const char* option : {"checkpoint", "max-rate", "manifest-checksums", "label", "database"}) {
        engine::BackupOrder order;
        order.options[option] = {"word"};
        const auto done = engine()->back_up(order, context_);
        ASSERT_FALSE(done) << option;
        EXPECT_EQ(done.error().code, ErrorCode::kUsage) << option;
    }
    EXPECT_THAT(programs_.runs, IsEmpty());
}

TEST_F(EngineQuestions, NoProgramIsSilentForEver) {
    engine::BackupOrder push;
    engine::RestoreOrder fetch;
    engine::EngineCheck check;
    for (const auto& [kind, says] : {std::pair(EngineSettings::Kind::kWalG, std::string(kWalGBackups)),
                                     std::pair(EngineSettings::Kind::kPgBackRest, info_text())}) {
        programs_.runs.clear();
        const auto one = driver(kind, says);
        EXPECT_TRUE(one->push(push, context_));
        EXPECT_TRUE(one->fetch(backup("A", 2, 20), fetch, context_));
        for (const env::RunOptions& run : programs_.runs) EXPECT_EQ(run.longest_silence, std::chrono::hours(1));
        (void)one->check_config(context_);
        (void)one->verify({}, check, context_);
        (void)one->examine(backup("A", 2, 20), {}, context_);
        for (const env::RunOptions& run : programs_.runs) EXPECT_GT(run.longest_silence, Duration{}) << run.argv.back();
    }
}

TEST_F(EngineQuestions, WalGMayNotWriteOverTablespaces) {
    const auto examine = [&](const std::string& says) {
        const auto done = driver(EngineSettings::Kind::kWalG, says)->examine(backup("base_A", 2, 20), {}, context_);
        return done ? ErrorCode::kInternal : done.error().code;
    };
    EXPECT_EQ(examine(R"({"LSN":1,"Spec":{"7":{"loc":"/srv/ts"},"tablespaces":["7"]}})"), ErrorCode::kGuardRefused);
    EXPECT_THAT(programs_.runs.back().argv, ElementsAre("/bin/engine", "st", "cat", "basebackups_005/base_A_backup_stop_sentinel.json"));
    EXPECT_EQ(examine("what"), ErrorCode::kProtocol) << "not known is no leave";
    EXPECT_EQ(examine(R"({"LSN":1})"), ErrorCode::kInternal) << "it may";
}

// --------------------------------------------------------------------------------------------- the restored directory

// What is changed, in turn.
class OrderedFiles final : public aeterna::testing::FakeFiles {
  public:
    std::vector<std::string> changes;
    Status write_durable(const std::string& path, std::string_view text, int mode, std::optional<env::Owner> owner) override {
        changes.push_back("write " + path);
        return FakeFiles::write_durable(path, text, mode, owner);
    }
    Status remove(const std::string& path) override {
        changes.push_back("remove " + path);
        return FakeFiles::remove(path);
    }
};

TEST(RestoredDirectory, IsKeptOffTheArchiveBeforeItMayRecover) {
    OrderedFiles files;
    std::string control(256, '\0');
    control[0] = 1;
    files.content = {{"/d/global/pg_control", control}, {"/d/postgresql.conf", ""}, {"/d/pg_hba.conf", ""}, {"/d/pg_ident.conf", ""}};
    ASSERT_TRUE(let_stand_alone(files, "/d", std::nullopt, {"fetch", {}}));
    EXPECT_THAT(files.changes, ElementsAre("write /d/postgresql.auto.conf", "remove /d/standby.signal", "write /d/recovery.signal"));
    EXPECT_THAT(files.content["/d/postgresql.auto.conf"], HasSubstr("archive_mode = 'off'"));
}

// ------------------------------------------------------------------------------------------------- restore_command

TEST(EngineProgram, OnlyAbsenceEndsARecovery) {
    EXPECT_EQ(checked_restore_command({"/usr/bin/wal-g", "--config=/a b/100%.yaml", "wal-fetch"}, 74),
              "/usr/bin/wal-g '--config=/a b/100%%.yaml' wal-fetch %f \"%p\"; case $? in 0) ;; 74) exit 1;; *) exit "
              "255;; esac");
}

}  // namespace
}  // namespace aeterna::postgres::testing
