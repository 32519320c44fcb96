// Retention, sessions and prune: what is kept restores, whatever runs beside a prune and wherever it dies.
#include <gtest/gtest.h>

#include "dying_storage.h"
#include "repository/pipeline/prune.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

Backup made_at(const std::string& id, const std::string& time, const std::string& name = "data") {
    Backup backup;
    backup.id = id;
    backup.kind = "files";
    backup.name = name;
    backup.started_at = parse_time(time).value();
    return backup;
}

std::string kept(const std::vector<Backup>& backups, const RetentionPolicy& policy) {
    std::string ids;
    for (const auto& decision : decide_retention(backups, policy, parse_time("2026-03-10T12:00:00Z").value())) {
        EXPECT_FALSE(decision.reason.empty());
        if (decision.is_kept) ids += decision.backup;
    }
    return ids;
}

TEST(Retention, KeepsTheNewestOfEachBucket) {
    const std::vector<Backup> backups = {
        made_at("a", "2026-01-31T23:00:00Z"), made_at("b", "2026-02-27T01:00:00Z"), made_at("c", "2026-03-01T10:00:00Z"),
        made_at("d", "2026-03-08T23:59:59Z"), made_at("e", "2026-03-09T00:00:00Z"), made_at("f", "2026-03-10T11:10:00Z"),
        made_at("g", "2026-03-10T11:50:00Z")};
    RetentionPolicy none, last, hourly, daily, weekly, monthly, within;
    last.last = 2;
    hourly.hourly = 2;
    daily.daily = 3;
    weekly.weekly = 2;
    monthly.monthly = 12;
    within.within = 36h;
    EXPECT_EQ(kept(backups, none), "abcdefg");
    EXPECT_EQ(kept(backups, last), "fg");
    EXPECT_EQ(kept(backups, hourly), "eg");
    EXPECT_EQ(kept(backups, daily), "deg");
    EXPECT_EQ(kept(backups, weekly), "dg") << "the week begins on Monday, 9 March";
    EXPECT_EQ(kept(backups, monthly), "abg");
    EXPECT_EQ(kept(backups, within), "efg");
}

TEST(Retention, NeverTakesTheLastOfASeries) {
    RetentionPolicy policy;
    policy.within = 1h;
    EXPECT_EQ(kept({made_at("a", "2025-01-01T00:00:00Z"), made_at("b", "2025-01-02T00:00:00Z"),
                    made_at("c", "2025-01-01T00:00:00Z", "other")}, policy), "bc");
}

class PruneTest : public ::testing::Test {
  protected:
    // Three states of one tree; the second shares a third with the first.
    void write_state(int state) {
        const auto seed = static_cast<std::uint64_t>(state);
        write_file(from_ + "/same", noise(300000, 1));
        write_file(from_ + "/other", noise(600000, 10 + seed));
        write_file(from_ + "/table", database_file(40, seed));
        write_file(from_ + "/small/a", rows(2000, seed));
    }
    static PruneRequest keep_last(unsigned count) {
        PruneRequest request;
        request.policy.last = count;
        return request;
    }
    Result<PruneReport> prune_at(Rig& rig, Storage& storage, unsigned count = 1) {
        AETERNA_ASSIGN(const auto repository, rig.open_at(storage, SessionKind::kPrune));
        return prune(*repository, keep_last(count), forever());
    }
    static std::uint64_t count_objects(Rig& rig, const std::string& prefix) {
        std::uint64_t count = 0;
        EXPECT_TRUE(rig.memory.list(prefix, [&](const ObjectInfo&) { return ++count > 0; }, forever()));
        return count;
    }
    static void expect_whole(Rig& rig, const std::string& from, const std::string& note) {
        const CheckReport report = rig.check();
        EXPECT_EQ(report.problem_count, 0U) << note << ' ' << report.problems.front();
        const Backup latest = rig.open()->catalog().find("latest", forever()).value();
        EXPECT_EQ(rig.restored_difference(latest, from), "") << note;
    }

    Directory parent_;
    const std::string from_ = parent_.file("from");
};

TEST_F(PruneTest, TakesAwayWhatNoBackupNeeds) {
    Rig rig;
    rig.workers = 1;  // what belongs together lies in one pack
    for (const int state : {1, 2, 3}) {
        write_state(state);
        rig.back_up(from_);
    }
    const CheckReport before = rig.check();
    const auto report = prune_at(rig, rig.memory);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_GT(report->removed_packs, 0U);
    EXPECT_GT(report->copied_bytes, 0U) << "what is shared was in a pack that is mostly unneeded";
    expect_whole(rig, from_, "");
    const CheckReport after = rig.check();
    EXPECT_LT(after.pack_bytes * 2, before.pack_bytes);
    EXPECT_EQ(after.unused_packs, 0U);
    EXPECT_EQ(after.backups, 1U);
    EXPECT_EQ(count_objects(rig, "garbage/"), 0U);
    EXPECT_EQ(count_objects(rig, "sessions/"), 0U);
    EXPECT_EQ(prune_at(rig, rig.memory)->removed_packs, 0U) << "a second one finds nothing";
}

TEST_F(PruneTest, ADryRunOnlySpeaks) {
    Rig rig;
    for (const int state : {1, 2}) {
        write_state(state);
        rig.back_up(from_);
    }
    PruneRequest request = keep_last(1);
    request.dry_run = true;
    const auto repository = rig.open_at(rig.memory, SessionKind::kPrune).value();
    const PruneReport report = prune(*repository, request, forever()).value();
    ASSERT_EQ(report.decisions.size(), 2U);
    EXPECT_FALSE(report.decisions[0].is_kept);
    EXPECT_TRUE(report.decisions[1].is_kept);
    EXPECT_EQ(rig.check().backups, 2U);
}

TEST_F(PruneTest, WaitsForThoseWhoMayStillRead) {
    Rig rig;
    for (const int state : {1, 2}) {
        write_state(state);
        rig.back_up(from_);
    }
    const Backup first = rig.open()->catalog().all(forever()).value().front();
    {
        // Opened before the prune: its index knows the old packs, and it can still restore the forgotten backup.
        const auto reader = rig.open_at(rig.memory, SessionKind::kRead).value();
        const PruneReport report = prune_at(rig, rig.memory).value();
        EXPECT_EQ(report.removed_packs, 0U);
        EXPECT_GT(report.waiting_packs, 0U);
        RestoreRequest request;
        request.backup = first;
        request.into = parent_.file("old");
        EXPECT_TRUE(restore_tree(*reader, request, forever()));
        EXPECT_EQ(rig.check().problem_count, 0U);
    }
    const PruneReport report = prune_at(rig, rig.memory).value();
    EXPECT_GT(report.removed_packs, 0U);
    EXPECT_EQ(report.waiting_packs, 0U);
    EXPECT_EQ(count_objects(rig, "garbage/"), 0U);
    expect_whole(rig, from_, "");
}

TEST_F(PruneTest, StaleSessionsHoldNothingUp) {
    Rig rig;
    write_state(1);
    rig.back_up(from_);
    write_state(2);
    rig.back_up(from_);
    ASSERT_TRUE(rig.memory.put("sessions/write-0000000000000001-0000000000000001", {}, PutMode::kIfAbsent, forever()));
    EXPECT_EQ(prune_at(rig, rig.memory)->removed_packs, 0U) << "begun at the beginning of time";
    rig.clock.shift = 31min;
    EXPECT_GT(prune_at(rig, rig.memory)->removed_packs, 0U);
    EXPECT_EQ(remove_stale_sessions(rig.memory, forever()).value().size(), 1U);
    expect_whole(rig, from_, "");
}

TEST_F(PruneTest, DyingAnywhereLosesNothingAndTheNextOneFinishes) {
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            const std::string note = "died at " + std::to_string(calls) + (does_it_first ? ", done" : ", not done");
            Rig rig;
            for (const int state : {1, 2, 3}) {
                write_state(state);
                rig.back_up(from_);
            }
            DyingStorage dying(rig.memory, calls, does_it_first);
            const auto crashed = prune_at(rig, dying);
            has_died = dying.has_died();
            expect_whole(rig, from_, note);
            rig.clock.shift = 1h;  // until the dead prune's session is stale
            const auto finished = prune_at(rig, rig.memory);
            ASSERT_TRUE(finished) << note << ' ' << finished.error().to_string();
            expect_whole(rig, from_, note);
            rig.clock.shift = 2h;
            ASSERT_TRUE(prune_at(rig, rig.memory)) << note;
            EXPECT_EQ(count_objects(rig, "garbage/"), 0U) << note;
            EXPECT_EQ(count_objects(rig, "backups/"), 1U) << note;
            EXPECT_EQ(rig.check().unused_packs, 0U) << note;
            expect_whole(rig, from_, note);
        }
        EXPECT_GT(calls, 10);
    }
}

// At every call of a prune somebody commits a backup that wants to use again exactly what is being swept.
TEST_F(PruneTest, AWriterAtAnyMomentGetsAWholeBackupOrAnError) {
    int refused = 0, written = 0, calls = 1;
    for (bool has_happened = true; has_happened; ++calls) {
        Rig rig;
        for (const int state : {1, 2}) {
            write_state(state);
            rig.back_up(from_);
        }
        write_state(1);
        const auto writer = rig.open();
        has_happened = false;
        bool is_written = false;
        DyingStorage storage(rig.memory, calls, [&] {
            has_happened = true;
            const auto result = Rig::back_up_with(*writer, from_);
            is_written = result.has_value();
            if (!result) {
                EXPECT_EQ(result.error().code, ErrorCode::kUnavailable) << result.error().to_string();
            }
        });
        const auto pruned = prune_at(rig, storage);
        ASSERT_TRUE(pruned) << calls << ' ' << pruned.error().to_string();
        (is_written ? written : refused) += has_happened ? 1 : 0;
        if (is_written) expect_whole(rig, from_, "written at " + std::to_string(calls));
        EXPECT_EQ(rig.check().problem_count, 0U) << calls;
        ASSERT_TRUE(prune_at(rig, rig.memory, 5)) << calls;
        if (is_written) expect_whole(rig, from_, "pruned again after " + std::to_string(calls));
    }
    EXPECT_GT(written, 3);
    EXPECT_GT(calls, 8);
}

}  // namespace
}  // namespace aeterna::repository
