// Logs and the backups that need them: what a prune may cut, what a check demands, and readers beside a merge.
#include "repository/log_retention.h"

#include <gtest/gtest.h>

#include "dying_storage.h"
#include "repository/log_segments.h"
#include "repository/pipeline/prune.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

Backup needing(const std::string& log, std::uint64_t from, std::uint64_t to = 0) {
    Backup backup;
    backup.id = log;
    backup.log = Backup::Log{log, from, std::max(from, to)};
    return backup;
}

std::string told(const std::vector<LogState>& logs, const std::vector<Backup>& kept) {
    std::string text;
    for (const LogDecision& decision : decide_logs(logs, kept)) {
        EXPECT_FALSE(decision.reason.empty());
        text += decision.log + (decision.act == LogDecision::Act::kKeep     ? " keep "
                                : decision.act == LogDecision::Act::kRemove ? " remove "
                                                                            : " trim " + std::to_string(decision.before) + " ");
    }
    return text;
}

TEST(LogRetention, ALogLivesAsLongAsABackupNeedsIt) {
    const std::vector<LogState> chain = {{"t1", {}}, {"t2", LogOrigin{"t1", 100, ""}}, {"t3", LogOrigin{"t2", 200, ""}},
                                         {"dead", LogOrigin{"t1", 50, ""}}, {"other", {}}};
    EXPECT_EQ(told(chain, {}), "t1 keep t2 keep t3 keep dead keep other keep ") << "the first backup may be under way";
    EXPECT_EQ(told(chain, {needing("t1", 30)}), "t1 trim 30 t2 keep t3 keep dead keep other keep ");
    EXPECT_EQ(told(chain, {needing("t1", 70), needing("t1", 40), needing("t3", 250)}),
              "t1 trim 40 t2 keep t3 keep dead keep other keep ");
    EXPECT_EQ(told(chain, {needing("t2", 150), needing("t3", 250)}),
              "t1 remove t2 trim 150 t3 keep dead keep other keep ");
    EXPECT_EQ(told(chain, {needing("t3", 250)}), "t1 remove t2 remove t3 trim 250 dead keep other keep ");
    EXPECT_EQ(told(chain, {needing("t2", 90)}), "t1 trim 90 t2 keep t3 keep dead keep other keep ") << "it begins before its log";
    EXPECT_EQ(told(chain, {needing("t3", 90)}), "t1 trim 90 t2 keep t3 keep dead keep other keep ");
    const std::vector<LogState> circle = {{"a", LogOrigin{"b", 1, ""}}, {"b", LogOrigin{"a", 1, ""}}};
    EXPECT_EQ(told(circle, {needing("a", 5)}), "a trim 5 b keep ");
}

class LogUse : public ::testing::Test {
  protected:
    LogUse() : repository_(rig_.open()) { write_file(from_ + "/data", noise(2000, 1)); }
    void append(const std::string& log, std::uint64_t begin, int pieces) {
        const auto writer = LogWriter::open(*repository_, log, forever()).value();
        for (int i = 0; i < pieces; ++i) {
            const std::uint64_t at = writer->end().value_or(begin);
            ASSERT_TRUE(writer->append(at, bytes_of(noise(1000, at)), forever()));
        }
    }
    Backup back_up(const std::string& log, std::uint64_t from, std::uint64_t to) {
        BackupRequest request;
        request.from = from_;
        request.header.kind = "base";
        request.header.name = "main";
        request.header.log = Backup::Log{log, from, to};
        auto done = back_up_tree(*repository_, request, forever());
        EXPECT_TRUE(done) << done.error().to_string();
        return done->backup;
    }
    std::vector<std::string> pieces(const std::string& log) {
        std::vector<std::string> names;
        EXPECT_TRUE(rig_.memory.list("logs/" + log + "/", [&](const ObjectInfo& object) {
            names.push_back(object.name);
            return true;
        }, forever()));
        return names;
    }
    Result<PruneReport> prune_last(Storage& storage, unsigned last = 1) {
        PruneRequest request;
        request.policy.last = last;
        AETERNA_ASSIGN(const auto repository, rig_.open_at(storage, SessionKind::kPrune));
        return prune(*repository, request, forever());
    }

    Rig rig_;
    std::unique_ptr<Repository> repository_;
    Directory parent_;
    const std::string from_ = parent_.file("from");
};

TEST_F(LogUse, TheCatalogRemembersIt) {
    const Backup backup = back_up("t1", 0xfedcba9876543210ULL, 0xfedcba9876543211ULL);
    const Backup read = repository_->catalog().read(backup.id, forever()).value();
    ASSERT_TRUE(read.log);
    EXPECT_EQ(read.log->name, "t1");
    EXPECT_EQ(read.log->from, 0xfedcba9876543210ULL);
    EXPECT_EQ(read.log->to, 0xfedcba9876543211ULL);
}

TEST_F(LogUse, OriginsAreWrittenOnceAndStay) {
    const LogOrigin origin{"t1", 500, "1\t0/500\tno reason\n"};
    ASSERT_TRUE(put_origin(*repository_, "t2", origin, forever()));
    ASSERT_TRUE(put_origin(*repository_, "t2", origin, forever())) << "again is harmless";
    EXPECT_EQ(put_origin(*repository_, "t2", {"t1", 600, ""}, forever()).error().code, ErrorCode::kGuardRefused);
    EXPECT_EQ(read_origin(*repository_, "t2", forever()).value(), origin);
    EXPECT_FALSE(read_origin(*repository_, "t1", forever()).value());
    append("t2", 500, 2);
    EXPECT_EQ(remove_log(*repository_, "t2", forever()).value(), 2U);
    EXPECT_EQ(read_origin(*repository_, "t2", forever()).value(), origin);
}

TEST_F(LogUse, ACheckDemandsWhatBackupsNeed) {
    append("t1", 100, 5);  // 100 to 5100
    const Backup inside = back_up("t1", 1500, 3000);
    EXPECT_EQ(rig_.check(0).problem_count, 0U);
    EXPECT_EQ(rig_.check(100).problem_count, 0U);
    const std::string lost = pieces("t1")[1];  // 1100 to 2100
    const std::string bytes = read_object(rig_.memory, lost, 1 << 20, forever()).value();
    ASSERT_TRUE(rig_.memory.remove(lost, forever()));
    EXPECT_EQ(rig_.check(0).hit_backups, std::set<std::string>{inside.id});
    EXPECT_EQ(rig_.check(100).hit_backups, std::set<std::string>{inside.id});
    ASSERT_TRUE(rig_.memory.put(lost, bytes_of(bytes), PutMode::kIfAbsent, forever()));
    const Backup beyond = back_up("t1", 4000, 9000);
    EXPECT_EQ(rig_.check(0).problem_count, 0U) << "only its beginning is looked at";
    EXPECT_EQ(rig_.check(100).hit_backups, std::set<std::string>{beyond.id});
}

TEST_F(LogUse, TheLossOfTheLastPiecesIsNoticed) {
    append("t1", 100, 5);
    ASSERT_TRUE(merge_log(*repository_, "t1", LogGrowth::kHasEnded, forever()));
    EXPECT_EQ(read_mark(*repository_, "t1", forever()).value(), 5100U);
    append("t1", 0, 1);
    EXPECT_EQ(rig_.check().problem_count, 0U);
    ASSERT_TRUE(rig_.memory.remove("logs/t1/00000000000013ec", forever()));  // 5100: after the mark
    EXPECT_EQ(rig_.check().problem_count, 0U);
    ASSERT_TRUE(rig_.memory.remove("logs/t1/0000000000001004", forever()));  // 4100
    const CheckReport report = rig_.check();
    ASSERT_EQ(report.problem_count, 1U);
    EXPECT_NE(report.problems.front().find("had 00000000000013ec once"), std::string::npos) << report.problems.front();
}

TEST_F(LogUse, PruneCutsWhatNoKeptBackupNeeds) {
    append("t1", 100, 5);
    back_up("t1", 100, 600);
    back_up("t1", 3200, 3300);
    const auto first = prune_last(rig_.memory, 2);
    ASSERT_TRUE(first) << first.error().to_string();
    EXPECT_EQ(first->removed_log_pieces, 0U);
    const auto second = prune_last(rig_.memory);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->removed_log_pieces, 3U) << "up to 3100";
    EXPECT_EQ(rig_.check().problem_count, 0U);
    ASSERT_TRUE(put_origin(*repository_, "t2", {"t1", 5100, "history"}, forever()));
    append("t2", 5100, 2);
    back_up("t2", 5200, 5300);
    repository_.reset();
    rig_.clock.shift = 1h;
    const auto third = prune_last(rig_.memory);
    ASSERT_TRUE(third);
    EXPECT_EQ(third->removed_log_pieces, 2U) << "the rest of t1";
    EXPECT_TRUE(pieces("t1").empty());
    EXPECT_EQ(rig_.check().problem_count, 0U);
}

TEST_F(LogUse, DyingAnywhereInACutKeepsWhatIsNeeded) {
    int cut = 0;
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            repository_ = rig_.open();
            const std::string log = "t" + std::to_string(++cut);
            append(log, 100, 5);
            back_up(log, 100, 600);
            const Backup kept = back_up(log, 3200, 3300);
            repository_.reset();
            DyingStorage dying(rig_.memory, calls, does_it_first);
            static_cast<void>(prune_last(dying).has_value());
            has_died = dying.has_died();
            EXPECT_EQ(rig_.check().problem_count, 0U) << calls;
            rig_.clock.shift += 1h;
            ASSERT_TRUE(prune_last(rig_.memory)) << calls;
            const auto after = rig_.open();
            ASSERT_TRUE(after->catalog().read(kept.id, forever())) << calls;
            EXPECT_EQ(log_ranges(*after, log, LogReading::kEverything, forever()).value(),
                      (std::vector<LogRange>{{3100, 5100}}))
                << calls;
        }
        EXPECT_GT(calls, 5);
    }
}

// A merge happens at every moment of a reading.
TEST_F(LogUse, AReaderBesideAMergeMissesNothing) {
    for (int calls = 1; calls <= 12; ++calls) {
        const std::string log = "t" + std::to_string(calls);
        append(log, 0, 6);
        int questions = 0;
        std::string text;
        const auto end = read_log(*repository_, log, 500, [&](std::uint64_t position, Bytes bytes) -> Result<bool> {
            EXPECT_EQ(position, 500 + text.size());
            text.append(bytes.data(), bytes.size());
            if (++questions == calls) {
                EXPECT_TRUE(merge_log(*repository_, log, LogGrowth::kHasEnded, forever()));
            }
            return true;
        }, forever());
        ASSERT_TRUE(end) << end.error().to_string();
        EXPECT_EQ(*end, 6000U) << calls;
        EXPECT_EQ(text.size(), 5500U) << calls;
    }
}

}  // namespace
}  // namespace aeterna::repository
