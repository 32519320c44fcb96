// Restore test of PostgreSQL, without a server: how a scratch server is set up, and how answers are read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/restore_test/checks.h"
#include "postgres/restore_test/drill_rows.h"
#include "postgres/restore_test/scratch_config.h"
#include "postgres/client/server_programs.h"
#include "postgres/restore_test/wal_shelf.h"

namespace aeterna::postgres {
namespace {

using engine::TestOutcome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ScratchServer, MajorVersions) {
    EXPECT_EQ(major_version("15.18 (Debian 15.18-0+deb12u1)"), 15);
    EXPECT_EQ(major_version("postgres (PostgreSQL) 17beta1"), 17);
    EXPECT_FALSE(major_version("postgres"));
    EXPECT_FALSE(major_version(""));
    EXPECT_FALSE(major_version("99999999999999999999.1"));
}

TEST(ScratchServer, ReachesNothingOutside) {
    const ScratchPlace place{"/s"};
    const auto argv = server_argv({"/bin15", 15}, place, {true, 7, 300}, {"timescaledb", "other"});
    EXPECT_EQ(argv[0], "/bin15/postgres");
    for (const char* setting :
         {"listen_addresses=", "unix_socket_directories=/s/s", "hba_file=/s/pg_hba.conf", "archive_mode=off",
          "archive_command=", "archive_library=", "primary_conninfo=", "primary_slot_name=", "max_wal_senders=0",
          "max_logical_replication_workers=0", "recovery_end_command=", "shared_preload_libraries=timescaledb,other",
          "max_prepared_transactions=7", "max_locks_per_transaction=300", "promote_trigger_file="}) {
        EXPECT_THAT(argv, Contains(std::string(setting)));
    }
    EXPECT_THAT(server_argv({"/bin16", 16}, place, {}, {}), Not(Contains(std::string("promote_trigger_file="))));
    EXPECT_THAT(server_argv({"/bin17", 17}, place, {}, {}), Contains(std::string("event_triggers=off")));
    EXPECT_THAT(server_argv({"/bin17", 17}, place, {}, {}), Contains(std::string("shared_preload_libraries=")));
}

TEST(ScratchServer, HidesNoDamageAndNoCrash) {
    const auto argv = server_argv({"/bin15", 15}, {"/s"}, {}, {});
    for (const char* setting : {"zero_damaged_pages=off", "ignore_checksum_failure=off", "ignore_invalid_pages=off",
                                "ignore_system_indexes=off", "restart_after_crash=off"}) {
        EXPECT_THAT(argv, Contains(std::string(setting)));
    }
}

TEST(ScratchServer, SaysHowLongItReplayed) {
    const std::string log = "LOG:  redo starts at 0/2000028\nLOG:  redo done at 0/5000110 system usage: CPU: user: 0.01 s, "
                            "system: 0.02 s, elapsed: 12.34 s\nLOG:  archive recovery complete\n";
    EXPECT_EQ(replay_in(log), 12340ms);
    EXPECT_EQ(replay_in("LOG:  redo is not required\n"), std::nullopt);
    EXPECT_EQ(replay_in("LOG:  redo done at 0/5000110\n"), std::nullopt) << "of an older server";
    EXPECT_EQ(replay_in(log.substr(0, log.find("12.34"))), std::nullopt);
}

TEST(ScratchServer, TheSocketHasToFit) {
    // "/s/.s.PGSQL.5432" is 16 bytes.
    EXPECT_TRUE(check_socket_path({std::string(91, 'a')}));
    const Status long_one = check_socket_path({std::string(92, 'a')});
    ASSERT_FALSE(long_one);
    EXPECT_THAT(long_one.error().message, HasSubstr("1 bytes too long"));
}

TEST(ScratchServer, ReadsControlData) {
    const std::string text =
        "max_prepared_xacts setting:           3\nmax_locks_per_xact setting:           64\n"
        "Data page checksum version:           1\n";
    const auto control = parse_control_data(text);
    ASSERT_TRUE(control);
    EXPECT_TRUE(control->has_checksums);
    EXPECT_EQ(control->max_prepared, 3U);
    EXPECT_EQ(control->max_locks, 64U);
    EXPECT_FALSE(parse_control_data("nonsense"));
}

TEST(WalShelf, AsksAsAServerDoes) {
    constexpr std::uint64_t kSegment = 16 << 20;
    // Timeline 2 goes on in the middle of segment 3, timeline 4 at the beginning of segment 5.
    const auto path = make_wal_path("7", 4, "1\t0/3800000\tno recovery target specified\n2\t0/5000000\tafter\n");
    ASSERT_TRUE(path);
    EXPECT_THAT(names_asked_for(*path, 2 * kSegment, kSegment), ElementsAre("000000010000000000000002"));
    EXPECT_THAT(names_asked_for(*path, 3 * kSegment, kSegment),
                ElementsAre("000000020000000000000003", "000000010000000000000003"));
    EXPECT_THAT(names_asked_for(*path, 5 * kSegment, kSegment),
                ElementsAre("000000040000000000000005", "000000020000000000000005", "000000010000000000000005"));
}

TEST(WalShelf, TheCommandIsQuoted) { EXPECT_EQ(shelf_command({"/a b"}), "sh '/a b/get-wal'"); }

env::RunResult ran(int status, std::string output, std::string errors = "") {
    env::RunResult result;
    result.exit_status = status;
    result.output = std::move(output);
    result.errors = std::move(errors);
    return result;
}

TEST(RestoreChecks, Amcheck) {
    EXPECT_EQ(read_amcheck(ran(0, "")).outcome, TestOutcome::kPassed);
    const auto corrupt = read_amcheck(ran(2,
                                          "heap table \"a.public.t\", block 3, offset 1:\n    xmin is in the future\n"
                                          "btree index \"a.public.i\":\n    ERROR:  x\n"));
    EXPECT_EQ(corrupt.outcome, TestOutcome::kFailed);
    EXPECT_EQ(corrupt.detail, "heap table \"a.public.t\", block 3, offset 1:; btree index \"a.public.i\":");
    const auto unable = read_amcheck(ran(1, "", "pg_amcheck: error: no such thing\npg_amcheck: hint: x\n"));
    EXPECT_EQ(unable.outcome, TestOutcome::kNotChecked) << "what could not look has not passed";
    EXPECT_EQ(unable.detail, "no such thing");
    const auto skipped =
        read_amcheck(ran(0, "", "pg_amcheck: warning: skipping database \"a\": amcheck is not installed\n"));
    EXPECT_EQ(skipped.outcome, TestOutcome::kNotChecked);
    env::RunResult killed = ran(-1, "");
    killed.signal = 9;
    EXPECT_EQ(read_amcheck(killed).outcome, TestOutcome::kNotChecked);
}

TEST(RestoreChecks, Checksums) {
    const std::string counted =
        "Checksum operation completed\nFiles scanned:   10\nBlocks scanned:  2731\nBad checksums:  ";
    const auto good = read_checksums(ran(0, counted + "0\nData checksum version: 1\n"));
    EXPECT_EQ(good.outcome, TestOutcome::kPassed);
    EXPECT_EQ(good.detail, "2731 pages");
    const auto bad = read_checksums(ran(1, counted + "1\n",
                                        "pg_checksums: error: checksum verification failed in file \"./base/5/16384\", "
                                        "block 3: calculated checksum 1 but "
                                        "block contains 2\n"));
    EXPECT_EQ(bad.outcome, TestOutcome::kFailed);
    EXPECT_EQ(bad.detail, "1 bad pages: \"./base/5/16384\", block 3");
    const auto unable = read_checksums(ran(1, "", "pg_checksums: error: cluster must be shut down\n"));
    EXPECT_EQ(unable.outcome, TestOutcome::kNotChecked);
    EXPECT_EQ(unable.detail, "cluster must be shut down");
    EXPECT_EQ(read_checksums(ran(0, "nothing that is known\n")).outcome, TestOutcome::kNotChecked);
}

engine::LedgerEntry write(std::uint64_t id, int sent, int done, const std::string& node) {
    engine::LedgerEntry entry;
    entry.id = id;
    entry.sent = MonoTime(std::chrono::milliseconds(sent));
    if (done > 0) entry.done = MonoTime(std::chrono::milliseconds(done));
    entry.outcome = done > 0 ? engine::WriteOutcome::kOk : engine::WriteOutcome::kUnknown;
    entry.node = node;
    return entry;
}

TEST(DrillRows, WhatWasAcknowledgedBeforeOneThatIsThereHasToBeThere) {
    engine::LedgerContent ledger;
    ledger.entries = {write(1, 0, 10, "a"),  write(2, 20, 30, "a"), write(3, 40, 0, ""),
                      write(4, 50, 60, "a"), write(5, 55, 65, "a"), write(6, 70, 80, "a")};
    EXPECT_THAT(missing_writes(ledger, {1, 2, 3, 4, 5, 6}), IsEmpty());
    EXPECT_THAT(missing_writes(ledger, {1, 2}), IsEmpty()) << "the backup was taken before the others";
    EXPECT_THAT(missing_writes(ledger, {}), IsEmpty());
    EXPECT_THAT(missing_writes(ledger, {2, 5}), ElementsAre(1))
        << "4 was under way at the same time as 5; 3 is not known";
    EXPECT_THAT(missing_writes(ledger, {6}), ElementsAre(1, 2, 4, 5));
}

TEST(DrillRows, WhatAFailoverLostIsNotMissed) {
    engine::LedgerContent ledger;
    ledger.entries = {write(1, 0, 10, "a"), write(2, 20, 30, "a"), write(3, 90, 95, "b"), write(4, 96, 99, "b")};
    EXPECT_THAT(missing_writes(ledger, {1, 3, 4}), IsEmpty());
    EXPECT_THAT(missing_writes(ledger, {1, 4}), ElementsAre(3));
}

}  // namespace
}  // namespace aeterna::postgres
