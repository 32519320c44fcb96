// Damage that a check has noted: later backups store it anew, prune takes the broken packs away, and what reads again is
// believed again.
#include <gtest/gtest.h>

#include <functional>

#include "dying_storage.h"
#include "repository/pipeline/garbage.h"
#include "repository/pipeline/prune.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

class Healing : public ::testing::Test {
  protected:
    void SetUp() override {
        write_sample_tree(from_);
        rig_.workers = 1;
        first_ = rig_.back_up(from_).backup;
        EXPECT_TRUE(rig_.memory.list("packs/", [&](const ObjectInfo& object) {
            packs_.push_back(object.name);
            return true;
        }, forever()));
        ASSERT_FALSE(packs_.empty());
    }
    std::uint64_t count(const std::string& prefix) {
        std::uint64_t found = 0;
        EXPECT_TRUE(rig_.memory.list(prefix, [&](const ObjectInfo&) { return ++found > 0; }, forever()));
        return found;
    }
    void put(const std::string& name, const std::string& bytes) {
        ASSERT_TRUE(rig_.memory.put(name, bytes_of(bytes), PutMode::kOverwrite, forever()));
    }
    // Every pack is spoilt from one end to the other, in steps; but for its table at the end. How many packs there are, and so
    // where their tables lie, depends on how the threads took turns.
    void spoil() {
        for (const std::string& name : packs_) {
            std::string bytes = read_object(rig_.memory, name, 1 << 30, forever()).value();
            for (std::size_t i = 30; i == 30 || i + kTable < bytes.size(); i += 5000) bytes[i] = static_cast<char>(bytes[i] ^ 1);
            put(name, bytes);
        }
    }
    Result<PruneReport> prune_all(Storage& storage) {
        PruneRequest request;
        request.policy.last = 9;
        AETERNA_ASSIGN(const auto repository, rig_.open_at(storage, SessionKind::kPrune));
        return prune(*repository, request, forever());
    }
    // In one pack.
    std::size_t entries_stored_twice() {
        const auto repository = rig_.open();
        std::size_t twice = 0;
        EXPECT_TRUE(rig_.memory.list("index/", [&](const ObjectInfo& object) {
            const auto packs = read_packs(*repository, object.name, forever());
            EXPECT_TRUE(packs);
            for (const PackContents& pack : *packs) {
                std::set<Id> ids;
                for (const SealedEntry& entry : pack.entries) twice += ids.insert(entry.id).second ? 0 : 1;
            }
            return true;
        }, forever()));
        return twice;
    }
    void expect_well(const std::string& note) {
        const CheckReport report = rig_.check();
        EXPECT_EQ(report.problem_count, 0U) << note << ' ' << report.problems.front();
        EXPECT_EQ(rig_.restored_difference(first_, from_), "") << note;
    }

    Directory parent_;
    static constexpr std::size_t kTable = 4096;  // more than any table of these tests has
    const std::string from_ = parent_.file("from");
    Rig rig_;
    Backup first_;
    std::vector<std::string> packs_;
};

TEST_F(Healing, TheNextBackupStoresAnewWhatACheckFoundDamaged) {
    spoil();
    const CheckReport found = rig_.check();
    EXPECT_GT(found.noted_entries, 3U);
    EXPECT_EQ(found.hit_backups, std::set<std::string>{first_.id});
    EXPECT_EQ(count("damaged/"), 1U);
    EXPECT_GT(rig_.check().problem_count, 0U) << "a noted damage is one until it is stored anew";
    EXPECT_EQ(rig_.check().noted_entries, 0U) << "once";
    const BackupResult second = rig_.back_up(from_);
    EXPECT_EQ(second.known_files, 0U) << "what is damaged is read again, whatever its times say";
    const CheckReport after = rig_.check();
    EXPECT_EQ(after.problem_count, 0U) << after.problems.front();
    EXPECT_GT(after.replaced_entries, 3U);
    EXPECT_EQ(rig_.restored_difference(first_, from_), "") << "the old backup is whole again";
    rig_.clock.shift = 1h;
    const auto pruned = prune_all(rig_.memory);
    ASSERT_TRUE(pruned) << pruned.error().to_string();
    EXPECT_EQ(count("damaged/"), 0U);
    for (const std::string& name : packs_) EXPECT_FALSE(rig_.memory.stat(name, forever())) << name;
    expect_well("pruned");
    EXPECT_EQ(rig_.check().replaced_entries, 0U);
}

TEST_F(Healing, MissingPacksAreStoredAnewToo) {
    for (const std::string& name : packs_) ASSERT_TRUE(rig_.memory.remove(name, forever()));
    const CheckReport found = rig_.check(0);
    EXPECT_EQ(found.problem_count, packs_.size() + 1) << "each pack, and the backup";
    rig_.back_up(from_);
    EXPECT_EQ(rig_.check().problem_count, 0U);
    rig_.clock.shift = 1h;
    ASSERT_TRUE(prune_all(rig_.memory));
    EXPECT_EQ(count("damaged/"), 0U);
    expect_well("pruned");
}

TEST_F(Healing, WhatReadsAgainIsBelievedAgain) {
    std::map<std::string, std::string> good;
    for (const std::string& name : packs_) good[name] = read_object(rig_.memory, name, 1 << 30, forever()).value();
    spoil();
    EXPECT_GT(rig_.check().problem_count, 0U);
    for (const auto& [name, bytes] : good) put(name, bytes);
    expect_well("put back");
    EXPECT_EQ(count("damaged/"), 0U);
}

TEST_F(Healing, APruneKeepsADamagedPackThatIsMissed) {
    spoil();
    EXPECT_GT(rig_.check().problem_count, 0U);
    rig_.clock.shift = 1h;
    const auto pruned = prune_all(rig_.memory);
    EXPECT_TRUE(pruned || pruned.error().code == ErrorCode::kCorrupt);
    for (const std::string& name : packs_) EXPECT_TRUE(rig_.memory.stat(name, forever())) << name;
}

TEST_F(Healing, DyingAnywhereInAPruneOfDamageLosesNothing) {
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            const std::string note = "died at " + std::to_string(calls);
            spoil();  // every second time it is sound again
            const bool was_hit = rig_.check().problem_count > 0;
            if (was_hit) rig_.back_up(from_);
            rig_.clock.shift += 1h;
            DyingStorage dying(rig_.memory, calls, does_it_first);
            static_cast<void>(prune_all(dying).has_value());
            has_died = dying.has_died();
            expect_well(note);
            rig_.clock.shift += 1h;
            for (int again = 0; again < 2; ++again) {
                const auto finished = prune_all(rig_.memory);
                ASSERT_TRUE(finished) << note << ' ' << finished.error().to_string();
                rig_.clock.shift += 1h;
            }
            EXPECT_EQ(count("damaged/"), 0U) << note;
            EXPECT_EQ(entries_stored_twice(), 0U) << note;
            expect_well(note + ", finished");
            packs_.clear();
            EXPECT_TRUE(rig_.memory.list("packs/", [&](const ObjectInfo& object) {
                packs_.push_back(object.name);
                return true;
            }, forever()));
        }
        EXPECT_GT(calls, 10);
    }
}

TEST_F(Healing, ADamagedBackupTakesNoSoundOnesPlace) {
    RetentionPolicy last;
    last.last = 1;
    std::vector<Backup> backups(3);
    for (std::size_t i = 0; i < backups.size(); ++i) {
        backups[i].id = std::string(1, static_cast<char>('a' + i));
        backups[i].started_at = parse_time("2026-03-0" + std::to_string(i + 1) + "T00:00:00Z").value();
    }
    const auto decisions = decide_retention(backups, last, backups[2].started_at, {"c"});
    EXPECT_FALSE(decisions[0].is_kept);
    EXPECT_TRUE(decisions[1].is_kept) << "the newest that can be restored";
    EXPECT_TRUE(decisions[2].is_kept) << "kept beside";
    EXPECT_NE(decisions[2].reason.find("damaged"), std::string::npos);
}

}  // namespace
}  // namespace aeterna::repository
