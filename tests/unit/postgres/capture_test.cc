// The pure part of WAL capture and of restore_command.
#include <gtest/gtest.h>

#include "postgres/capture/archive_get.h"
#include "postgres/capture/exposure.h"
#include "postgres/capture/keeper.h"
#include "postgres/capture/segment_plan.h"
#include "postgres/capture/slot_protection.h"
#include "postgres/capture/standby_names.h"
#include "postgres/capture/start_plan.h"
#include "postgres/capture/stream_message.h"
#include "postgres/capture/wal_audit.h"
#include "postgres/capture/wal_donor.h"
#include "postgres/client/crc32c.h"
#include "postgres/client/little_endian.h"
#include "postgres/client/wal.h"
#include "wal_stream.h"

namespace aeterna::postgres {
namespace {

constexpr std::uint64_t kSegment = 16 << 20;

TEST(Lsn, ReadsWhatIsWritten) {
    for (const Lsn lsn : {Lsn{0}, Lsn{0x3000148}, Lsn{0x1'0000'0000}, ~Lsn{0}}) EXPECT_EQ(parse_lsn(format_lsn(lsn)), lsn);
    EXPECT_EQ(parse_lsn("a/bC"), Lsn{0xA'0000'00BC});
    for (const char* bad : {"", "/", "0/", "/0", "0", "0/1/2", "0/123456789", "x/0", "-1/0", "0/ 1"}) {
        EXPECT_FALSE(parse_lsn(bad)) << bad;
    }
}

TEST(TimelineHistory, IsReadAsTheServerWritesIt) {
    const auto history = parse_timeline_history("1\t0/3000148\tno recovery target specified\n\n2\t1/A0\tbefore 2026\n", 4);
    ASSERT_TRUE(history);
    EXPECT_EQ(*history, (std::vector<TimelineSwitch>{{1, 0x3000148}, {2, 0x1'0000'00A0}}));
    EXPECT_EQ(parse_timeline_history("# nothing\n", 1)->size(), 0U);
}

TEST(TimelineHistory, RefusesWhatIsNone) {
    for (const char* bad : {"1\n", "1 x\n", "x\t0/1\tr\n", "0\t0/1\tr\n", "3\t0/1\tr\n", "2\t0/1\tr\n1\t0/2\tr\n",
                            "1\t0/2\tr\n2\t0/1\tr\n", "4294967298\t0/1\tr\n"}) {
        EXPECT_FALSE(parse_timeline_history(bad, 3)) << bad;
    }
}

TEST(TimelineHistory, ContainsThoseOfItsAncestors) {
    const std::string two = "1\t0/3000148\tno recovery target specified\n", three = two + "\n2\t0/4000000\tbefore\n";
    EXPECT_EQ(history_of_ancestor(three + "\n3\t0/5000000\tr\n", 3), three);
    EXPECT_EQ(history_of_ancestor(three, 2), two);
    EXPECT_EQ(history_of_ancestor(three, 1), "");
    EXPECT_FALSE(history_of_ancestor(three, 3));
    EXPECT_FALSE(history_of_ancestor(three, 4));
}

TEST(WalLogName, NamesClusterAndTimeline) {
    const WalLog log{"7712548027555336026", 0x1A};
    EXPECT_EQ(wal_log_name(log), "postgres-7712548027555336026-0000001A");
    EXPECT_EQ(parse_wal_log_name(wal_log_name(log)), log);
    for (const char* other : {"", "postgres-", "redis-1-00000001", "postgres--00000001", "postgres-1-0000001",
                              "postgres-1-00000000", "postgres-x-00000001", "postgres-1-0000000g"}) {
        EXPECT_FALSE(parse_wal_log_name(other)) << other;
    }
    EXPECT_EQ(parse_history_file_name("0000000B.history"), Timeline{11});
    EXPECT_FALSE(parse_history_file_name("00000000.history"));
    EXPECT_FALSE(parse_history_file_name("000000010000000000000001"));
}

std::string big_endian(std::uint64_t value) {
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
}

TEST(StreamMessage, WalAndKeepalives) {
    const std::string wal = "w" + big_endian(0x1000) + big_endian(0x2000) + big_endian(7) + "bytes";
    const auto data = parse_stream_message(wal);
    ASSERT_TRUE(data);
    EXPECT_EQ(std::get<XLogData>(*data).start, 0x1000U);
    EXPECT_EQ(std::get<XLogData>(*data).server_end, 0x2000U);
    EXPECT_EQ(std::get<XLogData>(*data).bytes, "bytes");
    const auto keepalive = parse_stream_message("k" + big_endian(0x3000) + big_endian(7) + '\1');
    ASSERT_TRUE(keepalive);
    EXPECT_EQ(std::get<Keepalive>(*keepalive).sent, 0x3000U);
    EXPECT_TRUE(std::get<Keepalive>(*keepalive).wants_reply);
}

TEST(StreamMessage, EveryOtherLengthAndKindIsRefused) {
    const std::string wal = "w" + big_endian(1) + big_endian(2) + big_endian(3);
    for (std::size_t size = 0; size < wal.size(); ++size) EXPECT_FALSE(parse_stream_message(wal.substr(0, size))) << size;
    EXPECT_FALSE(parse_stream_message("x" + wal.substr(1)));
    EXPECT_FALSE(parse_stream_message("k" + big_endian(1) + big_endian(2)));
    EXPECT_FALSE(parse_stream_message("w" + big_endian(~0ULL) + big_endian(2) + big_endian(3) + "past the end of numbers"));
}

TEST(StatusUpdate, SaysNothingOfWhatIsDurable) {
    const std::string message = status_update({0xABCD, 0, true}, from_unix_us(946'684'800'000'005));
    EXPECT_EQ(message, "r" + big_endian(0xABCD) + big_endian(0) + big_endian(0) + big_endian(5) + '\1');
    EXPECT_EQ(status_update({1, 0, false}, from_unix_us(0)).back(), '\0');
    const std::string confirming = status_update({7, 7, false}, from_unix_us(946'684'800'000'005));
    EXPECT_EQ(confirming, "r" + big_endian(7) + big_endian(7) + big_endian(0) + big_endian(5) + '\0');
}

ServerTimeline server_on(Timeline timeline, std::vector<TimelineSwitch> history = {}) {
    return {timeline, std::move(history), 0x500'1234, kSegment};
}

TEST(StartPlan, BeginsWithTheSegmentThatTheSlotHolds) {
    const auto plan = plan_start({}, server_on(1));
    ASSERT_TRUE(plan);
    EXPECT_EQ(*plan, (StartPlan{.timeline = 1, .position = 0x500'0000}));
    // Of an old segment when the fork came after it.
    EXPECT_EQ(plan_start({}, server_on(3, {{1, 0x400'0000}, {2, 0x500'0001}}))->timeline, 2U);
    EXPECT_EQ(plan_start({}, server_on(3, {{1, 0x400'0000}, {2, 0x500'0000}}))->timeline, 3U);
}

TEST(StartPlan, GoesOnAtTheDurableEnd) {
    EXPECT_EQ(*plan_start({{1, 0x700}}, server_on(1)), (StartPlan{.timeline = 1, .position = 0x700}));
    // What the old timeline still has before the fork comes first.
    EXPECT_EQ(*plan_start({{1, 0x700}}, server_on(2, {{1, 0x900}})), (StartPlan{.timeline = 1, .position = 0x700}));
    EXPECT_EQ(*plan_start({{1, 0x900}}, server_on(2, {{1, 0x900}})), (StartPlan{.timeline = 2, .position = 0x900}));
    // A history that was put before a crash is no byte yet.
    EXPECT_EQ(*plan_start({{1, 0x900}, {2, {}}}, server_on(2, {{1, 0x900}})), (StartPlan{.timeline = 2, .position = 0x900}));
    // Two failovers passed by.
    EXPECT_EQ(*plan_start({{1, 0x900}}, server_on(3, {{1, 0x900}, {2, 0xA00}})), (StartPlan{.timeline = 2, .position = 0x900}));
}

TEST(StartPlan, WhatIsBehindAForkIsADeadBranch) {
    EXPECT_EQ(*plan_start({{1, 0xB00}}, server_on(2, {{1, 0x900}})),
              (StartPlan{.timeline = 2, .position = 0x900, .dead_timeline = 1, .dead_from = 0x900, .dead_to = 0xB00}));
    // The third timeline forked from the first: the second is dead as a whole.
    EXPECT_EQ(*plan_start({{1, 0x900}, {2, 0xF00}}, server_on(3, {{1, 0x900}})), (StartPlan{.timeline = 3, .position = 0x900}));
}

TEST(StartPlan, AnOldPrimaryIsNotFollowed) {
    const auto plan = plan_start({{1, 0x900}, {2, {}}}, server_on(1));
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::kGuardRefused);
}

TEST(Exposure, IsTheTimeSinceTheLastLookThatIsSafe) {
    const MonoTime zero{};
    Exposure exposure;
    EXPECT_FALSE(exposure.rpo_now(zero));
    exposure.begin_timeline(100);
    exposure.looked(zero + 1s, 150);
    EXPECT_FALSE(exposure.rpo_now(zero + 1s)) << "nothing was proven safe yet";
    EXPECT_EQ(exposure.behind_bytes(), 50U);
    exposure.looked(zero + 2s, 200);
    exposure.became_durable(160);
    EXPECT_EQ(exposure.rpo_now(zero + 4s), 3s);
    exposure.became_durable(200);
    EXPECT_EQ(exposure.rpo_now(zero + 4s), 2s);
    EXPECT_EQ(exposure.behind_bytes(), 0U);
}

TEST(Exposure, StaysSmallOnAnIdleServerAndGrowsWhenNobodyCanAsk) {
    const MonoTime zero{};
    Exposure exposure;
    exposure.begin_timeline(100);
    for (int second = 1; second <= 60; ++second) exposure.looked(zero + std::chrono::seconds(second), 100);
    EXPECT_EQ(exposure.rpo_now(zero + 61s), 1s);
    EXPECT_EQ(exposure.rpo_now(zero + 100s), 40s);
}

TEST(Exposure, OfTwoLooksWithOneEndTheLaterCounts) {
    const MonoTime zero{};
    Exposure exposure;
    exposure.looked(zero + 1s, 200);
    exposure.looked(zero + 5s, 200);
    exposure.became_durable(200);
    EXPECT_EQ(exposure.rpo_now(zero + 6s), 1s);
}

TEST(Exposure, AForkProvesNothingOfTheOldTimeline) {
    const MonoTime zero{};
    Exposure exposure;
    exposure.looked(zero + 1s, 0);
    exposure.looked(zero + 2s, 500);
    exposure.begin_timeline(300);  // 200 bytes never arrived
    exposure.became_durable(900);
    EXPECT_EQ(exposure.rpo_now(zero + 10s), 9s);
}

TEST(CapturedPart, BehindAForkPositionsMeanOtherBytes) {
    const auto node = [](const char* name, bool is_primary, Timeline timeline) {
        return SourceView{name, is_primary, "7", timeline, 0x9000000, kSegment};
    };
    const CapturedPart part{node("a", true, 1), 0x5000000};
    EXPECT_TRUE(is_durable_for(part, node("a", true, 1)));
    EXPECT_TRUE(is_durable_for(part, node("b", false, 1)));
    EXPECT_FALSE(is_durable_for(part, node("b", true, 2)));   // was promoted before the old primary knew
    EXPECT_FALSE(is_durable_for(part, node("c", false, 2)));  // follows it
    EXPECT_FALSE(is_durable_for(part, node("a", false, 2)));
    // The end of an older timeline from a server that has it in its history.
    EXPECT_TRUE(is_durable_for(part, node("a", true, 2)));
    EXPECT_FALSE(is_durable_for({node("a", true, 3), 0x5000000}, node("a", true, 2)));
}

TEST(CaptureState, WhatEndedAStreamDoesNotEndTheNext) {
    CaptureState state;
    const auto reason = [] { return make_error(ErrorCode::kUnavailable, "'a' is the primary no longer"); };
    state.begin({"a", true, "7", 1, 100, kSegment}, "log", 50);
    state.end_stream(reason());
    EXPECT_TRUE(state.end_reason());
    state.end();
    EXPECT_FALSE(state.end_reason());
    state.end_stream(reason());  // a look at the old one that was late
    EXPECT_FALSE(state.end_reason());
}

TEST(StandbyNames, OnlyWhoIsNamedIsMeant) {
    const std::pair<const char*, bool> lists[] = {
        {"", false}, {"aeterna", true}, {"FIRST 1 (aeterna)", true}, {"any 2 (a, \"Aeterna\" , b)", true}, {"a,aeterna", true},
        {"2 (aeterna, b)", true}, {"FIRST 1 (aeterna_2)", false}, {"first", false}, {"*", false}, {"\"*\"", false},
        {"FIRST 1 (aeterna, *)", false}, {"ANY 1 (*)", false}, {"\"patroni-1\"", false}};
    for (const auto& [list, is_named] : lists) EXPECT_EQ(is_named_standby(list, "aeterna"), is_named) << list;
}

TEST(CaptureState, IsAwaitedByTheLastLook) {
    CaptureState state;
    SourceView source{"a", true, "7", 1, 100, kSegment, true};
    EXPECT_FALSE(state.is_awaited()) << "nobody was looked at";
    state.begin(source, "log", 100);
    EXPECT_TRUE(state.is_awaited());
    source.awaits_us = false;
    state.looked({}, source);
    EXPECT_FALSE(state.is_awaited());
    source.awaits_us = true;
    source.node = "b";
    state.looked({}, source);
    EXPECT_FALSE(state.is_awaited()) << "another server's word";
}

TEST(CaptureState, NothingIsSafeBehindAHoleUntilABackupMakesGoodForIt) {
    const MonoTime zero{};
    CaptureState state;
    const SourceView source{"a", true, "7", 1, 100, kSegment};
    const auto look_at = [&](MonoTime at) {
        state.looked(at, source);
        state.became_durable(100);
    };
    state.begin(source, "log", 100);
    look_at(zero);
    EXPECT_FALSE(state.view(zero).rpo_now) << "before the first audit";
    EXPECT_TRUE(state.is_held("a"));
    state.audited(0, false, {});
    EXPECT_FALSE(state.is_held("a"));
    look_at(zero + 1s);
    EXPECT_EQ(state.view(zero + 3s).rpo_now, 2s);
    state.met_hole();
    EXPECT_TRUE(state.is_held("a"));
    state.begin(source, "log", 90);
    state.audited(0, false, {});  // nothing behind it is durable yet: an audit cannot see it
    EXPECT_TRUE(state.is_held("a"));
    look_at(zero + 4s);
    EXPECT_EQ(state.view(zero + 10s).rpo_now, 9s);
    EXPECT_EQ(state.holes_met(), 1U);
    state.audited(0, false, {});  // of an audit that began before
    EXPECT_TRUE(state.is_held("a"));
    state.audited(1, true, {"a"});
    EXPECT_FALSE(state.is_held("a"));
    look_at(zero + 10s);
    EXPECT_EQ(state.view(zero + 10s).rpo_now, 9s);
    state.audited(1, false, {});
    look_at(zero + 11s);
    EXPECT_EQ(state.view(zero + 12s).rpo_now, 1s);
    EXPECT_EQ(state.view(zero).has_hole, false);
}

TEST(CaptureState, ANodeThatWasNotAskedKeepsItsWal) {
    CaptureState state;
    state.begin({"a", true, "7", 1, 100, kSegment}, "log", 100);
    EXPECT_TRUE(state.is_held("a")) << "the source, too: after a failover it may be the only one that has it";
    state.audited(0, std::nullopt, {});
    EXPECT_TRUE(state.is_held("a")) << "nobody knows what is missing";
    state.audited(0, true, {"a", "b"});
    EXPECT_FALSE(state.is_held("a"));
    EXPECT_FALSE(state.is_held("b"));
    EXPECT_TRUE(state.is_held("c")) << "was away";
    state.audited(0, std::nullopt, {});
    EXPECT_FALSE(state.is_held("a")) << "it has nothing";
    EXPECT_TRUE(state.is_held("c"));
    state.lost_sight_of("b");
    EXPECT_TRUE(state.is_held("b")) << "it may come back with more";
    state.audited(0, true, {"a", "b", "c"});
    EXPECT_FALSE(state.is_held("c"));
    state.audited(0, false, {});
    EXPECT_FALSE(state.is_held("c")) << "nothing is missing";
}

TEST(CaptureState, AnAuditThatFailsChangesNothing) {
    const MonoTime zero{};
    CaptureState state;
    const SourceView source{"a", true, "7", 1, 100, kSegment};
    state.begin(source, "log", 100);
    state.audited(0, std::nullopt, {});
    state.looked(zero, source);
    EXPECT_FALSE(state.view(zero).rpo_now) << "nothing is known to be safe";
    EXPECT_EQ(state.view(zero).has_hole, std::nullopt);
    state.audited(0, false, {});
    state.audited(0, std::nullopt, {});
    state.looked(zero + 1s, source);
    EXPECT_EQ(state.view(zero + 1s).rpo_now, Duration());
    EXPECT_EQ(state.view(zero).has_hole, false);
    state.audited(0, true, {});
    state.audited(0, std::nullopt, {});
    state.looked(zero + 5s, source);
    EXPECT_EQ(state.view(zero + 5s).rpo_now, 4s) << "the hole is still there";
    EXPECT_EQ(state.view(zero).has_hole, true);
}

TEST(CaptureState, AnAuditOfBeforeAHoleDoesNotSayThatThereIsNone) {
    CaptureState state;
    state.begin({"a", true, "7", 1, 100, kSegment}, "log", 100);
    state.audited(0, false, {});
    state.met_hole();
    EXPECT_EQ(state.view({}).has_hole, std::nullopt);
    state.audited(0, false, {});  // began before
    EXPECT_EQ(state.view({}).has_hole, std::nullopt);
    state.became_durable(200);
    state.audited(0, false, {});
    EXPECT_EQ(state.view({}).has_hole, std::nullopt);
    state.audited(1, true, {});
    state.met_hole();
    EXPECT_EQ(state.view({}).has_hole, true) << "the one of before is still open";
    state.audited(1, false, {});
    EXPECT_EQ(state.view({}).has_hole, true);
}

TEST(CaptureState, CommitsAreConfirmedOnlyWhereNoHoleIsOpen) {
    CaptureState state;
    state.begin({"a", true, "7", 1, 100, kSegment}, "log", 100);
    EXPECT_FALSE(state.is_without_hole()) << "before the first audit";
    state.audited(0, false, {});
    EXPECT_TRUE(state.is_without_hole());
    state.audited(0, std::nullopt, {});
    EXPECT_TRUE(state.is_without_hole()) << "a hole is met, or found";
    state.met_hole();
    EXPECT_FALSE(state.is_without_hole());
    state.begin({"a", true, "7", 1, 300, kSegment}, "log", 200);
    state.became_durable(300);
    EXPECT_FALSE(state.is_without_hole());
    state.audited(1, true, {"a"});
    EXPECT_FALSE(state.is_without_hole());
    state.audited(1, false, {});
    EXPECT_TRUE(state.is_without_hole()) << "it was filled, or a base backup lies behind it";
}

TEST(CaptureState, AFailureIsTheTroubleUntilTheNextStream) {
    CaptureState state;
    state.failed("no primary is found", false);
    EXPECT_EQ(state.view({}).trouble, "no primary is found");
    state.begin({"a", true, "7", 1, 100, kSegment}, "log", 50);
    EXPECT_EQ(state.view({}).trouble, "");
}

// ------------------------------------------------------------------------------------------ holes

const WalPath kPath{"7", {{1, 0, 0x500}, {2, 0x500, 0x900}, {3, 0x900, ~Lsn{0}}}};

TEST(WalAudit, FindsWhatIsMissingOfTheWay) {
    const CapturedWal whole{{1, {{0x100, 0x700}}}, {2, {{0x500, 0x900}}}, {3, {{0x900, 0xA00}}}};
    EXPECT_TRUE(find_holes(kPath, whole, {}).empty()) << "what is behind a fork is a dead branch";
    EXPECT_TRUE(find_holes(kPath, whole, 0x100).empty());
    EXPECT_TRUE(find_holes(kPath, {}, 0x100).empty()) << "a history that was never captured has no hole";
    EXPECT_EQ(find_holes(kPath, whole, 0x80), (std::vector<WalHole>{{1, 0x80, 0x100}})) << "a backup needs more";
    const CapturedWal holes{{1, {{0x100, 0x200}, {0x300, 0x480}}}, {3, {{0x980, 0xA00}, {0xB00, 0xC00}}}};
    EXPECT_EQ(find_holes(kPath, holes, {}),
              (std::vector<WalHole>{
                  {1, 0x200, 0x300}, {1, 0x480, 0x500}, {2, 0x500, 0x900}, {3, 0x900, 0x980}, {3, 0xA00, 0xB00}}));
    EXPECT_EQ(find_holes(kPath, holes, 0xA00), (std::vector<WalHole>{{3, 0xA00, 0xB00}})) << "older backups are gone";
    // The dead branch is captured where the way is not.
    EXPECT_EQ(find_holes(kPath, {{1, {{0x100, 0x700}}}, {2, {{0x600, 0x900}}}}, {}),
              (std::vector<WalHole>{{2, 0x500, 0x600}}));
}

TEST(WalAudit, KnowsWhereTheHistoryGoesOn) {
    const CapturedWal captured{{1, {{0x100, 0x200}}}, {2, {{0x600, 0x900}}}};
    EXPECT_EQ(next_captured(kPath, captured, 0x200), Lsn{0x600});
    EXPECT_FALSE(next_captured(kPath, captured, 0x900));
}

TEST(WalAudit, AHoleMattersUntilABackupBeginsBehindIt) {
    WalAudit audit;
    EXPECT_TRUE(audit.is_open({1, 0x200, 0x300}));
    audit.newest_backup = 0x2FF;
    EXPECT_TRUE(audit.is_open({1, 0x200, 0x300}));
    audit.newest_backup = 0x300;
    EXPECT_FALSE(audit.is_open({1, 0x200, 0x300}));
}

TEST(WalDonor, ATimelineEndsAtItsForkOrWhereTheNodeIs) {
    const SourceView node{"a", true, "7", 3, 0xA00, kSegment};
    const std::vector<TimelineSwitch> history{{1, 0x500}, {2, 0x900}};
    EXPECT_EQ(end_on(node, history, 3), Lsn{0xA00});
    EXPECT_EQ(end_on(node, history, 1), Lsn{0x500});
    EXPECT_FALSE(end_on(node, history, 4));
    EXPECT_EQ(lead_in(0x4001, 0), Lsn{0x4000});
    EXPECT_EQ(lead_in(0x4000, 0), Lsn{0x2000});
    EXPECT_EQ(lead_in(0x4001, 0x4000), Lsn{0x4000});
    EXPECT_EQ(lead_in(0, 0), Lsn{0});
}

TEST(WalProof, WantsRecordsThatFollowEachOther) {
    testing::WalStream wal(0x3000000);
    for (int i = 0; i < 20; ++i) wal.other(3000);
    wal.switch_segment();
    const Lsn next = wal.end();
    wal.other(100);
    wal.other(100);
    const auto prove = [&](Lsn from) -> Status {
        WalProof proof(from, testing::WalStream::kSegment);
        for (Lsn at = from; at < wal.end();) {
            const auto bytes = wal.from(at).substr(0, 700);
            AETERNA_TRY(proof.add(bytes));
            at += bytes.size();
        }
        return Status();
    };
    EXPECT_TRUE(prove(wal.begin()));
    EXPECT_TRUE(prove(wal.begin() + testing::WalStream::kPage));
    EXPECT_TRUE(prove(next - testing::WalStream::kPage)) << "what a switch has left empty";
    EXPECT_TRUE(prove(next));
    wal.bytes().replace(0x4000, 0x2000, 0x2000, '\0');
    EXPECT_EQ(prove(wal.begin()).error().code, ErrorCode::kCorrupt) << "no page";
}

TEST(WrittenEnd, APageHeaderAloneIsNoWal) {
    EXPECT_EQ(written_end(0x2000028, kSegment), 0x2000000U);
    EXPECT_EQ(written_end(0x2002018, kSegment), 0x2002000U);
    EXPECT_EQ(written_end(0x2002028, kSegment), 0x2002028U);
    EXPECT_EQ(written_end(0x2000018, kSegment), 0x2000018U);
    EXPECT_EQ(written_end(0x2000000, kSegment), 0x2000000U);
}

TEST(SlotProtection, AsPatroniMatchesIt) {
    for (const char* good : {R"({"ignore_slots":[{"name":"aeterna","type":"physical"}]})", R"({"ignore_slots":[{"name":"aeterna"}]})",
                             R"({"ignore_slots":[{"name":"other"},{"type":"physical"}]})",
                             R"({"slots":{"aeterna":{"type":"physical"}}})"}) {
        EXPECT_TRUE(*is_slot_protected(good, "aeterna")) << good;
    }
    for (const char* bad : {"{}", R"({"ignore_slots":[{"name":"other","type":"physical"}]})", R"({"ignore_slots":["aeterna"]})",
                            R"({"ignore_slots":[{"name":"aeterna","type":"logical"}]})", R"({"ignore_slots":{"name":"aeterna"}})",
                            R"({"ignore_slots":[{"name":"aeterna","database":"db"}]})", R"({"ignore_slots":null})",
                            R"({"slots":{"aeterna":{"type":"logical"}}})"}) {
        EXPECT_FALSE(*is_slot_protected(bad, "aeterna")) << bad;
    }
    EXPECT_FALSE(is_slot_protected("<html>", "aeterna"));
}

using Origins = std::map<std::string, repository::LogOrigin>;
std::vector<SegmentPart> parts_of(const std::string& log, Lsn start, const Origins& origins) {
    const auto parts = plan_segment(log, start, 100, [&](const std::string& of) -> Result<std::optional<repository::LogOrigin>> {
        const auto found = origins.find(of);
        return found == origins.end() ? std::nullopt : std::optional(found->second);
    });
    EXPECT_TRUE(parts);
    return parts.value_or(std::vector<SegmentPart>());
}

TEST(SegmentPlan, ATimelinesFirstSegmentBeginsWithItsParents) {
    const Origins origins{{"two", {"one", 250, ""}}, {"three", {"two", 270, ""}}, {"four", {"three", 400, ""}}};
    EXPECT_EQ(parts_of("one", 200, origins), (std::vector<SegmentPart>{{"one", 200, 300}}));
    EXPECT_EQ(parts_of("three", 200, origins),
              (std::vector<SegmentPart>{{"one", 200, 250}, {"two", 250, 270}, {"three", 270, 300}}));
    EXPECT_EQ(parts_of("three", 300, origins), (std::vector<SegmentPart>{{"three", 300, 400}}));
    EXPECT_EQ(parts_of("four", 400, origins), (std::vector<SegmentPart>{{"four", 400, 500}}));
    EXPECT_TRUE(parts_of("four", 300, origins).empty());
}

TEST(SegmentPlan, OriginsThatGoRoundEnd) {
    const auto parts = plan_segment("one", 0, 100, [](const std::string&) -> Result<std::optional<repository::LogOrigin>> {
        return std::optional<repository::LogOrigin>({"one", 50, ""});
    });
    ASSERT_FALSE(parts);
    EXPECT_EQ(parts.error().code, ErrorCode::kCorrupt);
}

TEST(SegmentVerdict, OnlyTheEndOfTheHistoryIsFilledUp) {
    const auto judge = [](Lsn has_to, Lsn log_end, std::optional<Lsn> left_at = std::nullopt) {
        return judge_segment({.start = 200, .bytes = 100, .has_to = has_to, .log_end = log_end, .left_at = left_at});
    };
    EXPECT_EQ(judge(300, 900, 250), SegmentVerdict::kWhole);
    EXPECT_EQ(judge(250, 250), SegmentVerdict::kLast);
    EXPECT_EQ(judge(260, 250), SegmentVerdict::kLast) << "it grew meanwhile";
    EXPECT_EQ(judge(250, 250, 250), SegmentVerdict::kForked);
    EXPECT_EQ(judge(260, 260, 250), SegmentVerdict::kForked) << "a dead branch";
    EXPECT_EQ(judge(250, 251), SegmentVerdict::kHole);
    EXPECT_EQ(judge(200, 900), SegmentVerdict::kHole) << "the log begins later";
    EXPECT_EQ(judge(200, 200), SegmentVerdict::kAbsent);
    EXPECT_EQ(judge(200, 150, 150), SegmentVerdict::kAbsent);
    // The slot was lost before the fork: what is missing is no end, also where it is whole segments.
    EXPECT_EQ(judge(250, 250, 251), SegmentVerdict::kHole);
    EXPECT_EQ(judge(250, 250, 700), SegmentVerdict::kHole);
    EXPECT_EQ(judge(200, 200, 700), SegmentVerdict::kHole);
    EXPECT_EQ(judge(200, 150, 201), SegmentVerdict::kHole);
}

TEST(ControlFile, DemandsAReplay) {
    std::string bytes(8192, '\0');
    put_little_endian<std::uint32_t>(bytes, 8, 1300);
    EXPECT_EQ(demand_replay_to(bytes, 5, 1).error().code, ErrorCode::kCorrupt);
    put_little_endian(bytes, 288, crc32c(0, bytes.substr(0, 288)));
    const auto longer = demand_replay_to(bytes, 0x1'0000'0028, 3);
    ASSERT_TRUE(longer);
    EXPECT_EQ(little_endian<std::uint64_t>(*longer, 136), 0x1'0000'0028U);
    EXPECT_EQ(little_endian<std::uint32_t>(*longer, 144), 3U);
    EXPECT_EQ(little_endian<std::uint32_t>(*longer, 288), crc32c(0, longer->substr(0, 288)));
    EXPECT_EQ(demand_replay_to(*longer, 40, 1).value(), *longer) << "what is needed already, by a standby's backup";
    put_little_endian<std::uint32_t>(bytes, 8, 1700);
    EXPECT_EQ(demand_replay_to(bytes, 5, 1).value(), bytes) << "another layout";
}

TEST(ControlFile, ClusterAndSegmentSize) {
    std::string bytes(8192, '\0');
    const auto put = [&](std::size_t at, std::uint64_t value, int size) {
        for (int i = 0; i < size; ++i) bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(value >> (8 * i) & 0xff);
    };
    EXPECT_FALSE(parse_control_file(bytes)) << "zeros";
    put(0, 7712548027555336026ULL, 8);
    put(8, 1300, 4);
    put(104, 1'772'366'400, 8);
    put(180, 150, 4);
    put(196, 64, 4);
    put(228, 16 << 20, 4);
    EXPECT_EQ(parse_control_file(bytes)->checkpoint_at, *parse_time("2026-03-01T12:00:00Z"));
    EXPECT_EQ(parse_control_file(bytes)->limits.front(), (std::pair<std::string, std::uint32_t>("max_connections", 150)));
    EXPECT_EQ(parse_control_file(bytes)->limits.back(), (std::pair<std::string, std::uint32_t>("max_locks_per_transaction", 64)));
    EXPECT_EQ(parse_control_file(bytes)->system_identifier, "7712548027555336026");
    EXPECT_EQ(parse_control_file(bytes)->segment_bytes, kSegment);
    put(228, (16 << 20) + 1, 4);
    EXPECT_FALSE(parse_control_file(bytes));
    put(8, 1800, 4);
    EXPECT_EQ(parse_control_file(bytes)->segment_bytes, 0U) << "a layout that is not known";
    EXPECT_FALSE(parse_control_file(std::string_view(bytes).substr(0, 200)));
}

}  // namespace
}  // namespace aeterna::postgres
