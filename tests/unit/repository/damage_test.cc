// Crashes at every storage call, and damage of every kind: nothing is lost, nothing wrong passes unnoticed.
#include <gtest/gtest.h>

#include "dying_storage.h"
#include "repository/chunk/content_kind.h"
#include "repository/format/index_segment.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

class Crash : public ::testing::Test {
  protected:
    void SetUp() override { write_sample_tree(from_); }
    Directory parent_;
    const std::string from_ = parent_.file("from");
};

TEST_F(Crash, AtEveryCallOfABackupLosesNothingThatWasDone) {
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            Rig rig;
            const Backup before = rig.back_up(from_).backup;
            overwrite_at(from_ + "/table", 17 * kPageBytes, database_page(static_cast<std::uint64_t>(calls)));
            write_file(from_ + "/new", noise(200000, static_cast<std::uint64_t>(calls)));
            DyingStorage dying(rig.memory, calls, does_it_first);
            const auto crashed = rig.back_up_at(dying, from_);
            has_died = dying.has_died();
            const auto ids = rig.open()->catalog().ids(forever()).value();
            EXPECT_GE(ids.size(), 1U);
            EXPECT_EQ(ids.front(), before.id);
            // The last call ends the session: the backup is done then.
            if (crashed || !has_died) {
                EXPECT_TRUE(crashed) << calls;
                EXPECT_EQ(ids.size(), 2U) << calls;
            }
            const auto backups = rig.open()->catalog().all(forever()).value();
            for (const Backup& backup : backups) {
                const Directory out;
                ASSERT_TRUE(rig.restore(backup, out.file("out"))) << calls;
                if (backup.id == before.id) continue;
                EXPECT_EQ(difference(from_, out.file("out")), "") << calls;
            }
            const CheckReport report = rig.check();
            EXPECT_EQ(report.problem_count, 0U) << calls << ' ' << report.problems.front();
            const Backup after = rig.back_up(from_).backup;
            EXPECT_EQ(rig.restored_difference(after, from_), "") << calls;
            fs::remove(from_ + "/new");
        }
        EXPECT_GT(calls, 5);
    }
}

TEST_F(Crash, AtEveryCallOfInitLeavesNoneOrOne) {
    const Credential key = make_key(real().random);
    for (const bool does_it_first : {false, true}) {
        for (int calls = 1; calls <= 2; ++calls) {
            MemoryStorage memory(real().clock);
            DyingStorage dying(memory, calls, does_it_first);
            EXPECT_FALSE(Repository::init(dying, key, {}, real_ports(), forever()));
            const auto opened = Repository::open(memory, key, real_ports(), forever());
            const bool is_there = calls == 2 && does_it_first;
            EXPECT_EQ(opened.has_value(), is_there);
            if (!is_there) {
                EXPECT_EQ(opened.error().code, ErrorCode::kNoRepository);
                EXPECT_TRUE(Repository::init(memory, key, {}, real_ports(), forever()));
                EXPECT_TRUE(Repository::open(memory, key, real_ports(), forever()));
            }
        }
    }
}

TEST_F(Crash, AtEveryCallOfAKeyChangeSomeKeyOpensIt) {
    for (const bool does_it_first : {false, true}) {
        int calls = 1;
        for (bool has_died = true; has_died; ++calls) {
            Rig rig;
            const Backup backup = rig.back_up(from_).backup;
            const Credential fresh = make_key(real().random);
            DyingStorage dying(rig.memory, calls, does_it_first);
            {
                const auto old = Repository::open(dying, rig.key(), real_ports(), forever()).value();
                const auto added = old->add_key(fresh, "fresh", {}, forever());
                if (added) {
                    const auto with_fresh = Repository::open(dying, fresh, real_ports(), forever()).value();
                    for (const KeySlot& slot : with_fresh->key_slots(forever()).value()) {
                        if (slot.label == "first") static_cast<void>(with_fresh->remove_key(slot.id, forever()).has_value());
                    }
                }
            }
            has_died = dying.has_died();
            const auto by_old = Repository::open(rig.memory, rig.key(), real_ports(), forever());
            const auto by_fresh = Repository::open(rig.memory, fresh, real_ports(), forever());
            ASSERT_TRUE(by_old || by_fresh) << calls;
            for (const auto* opened : {&by_old, &by_fresh}) {
                const bool is_as_it_should_be = *opened ? (**opened)->catalog().read(backup.id, forever()).has_value()
                                                        : opened->error().code == ErrorCode::kWrongKey;
                EXPECT_TRUE(is_as_it_should_be) << calls;
            }
            EXPECT_EQ(by_old.has_value(), has_died && !(calls == 2 && does_it_first)) << calls;
        }
        EXPECT_EQ(calls, 4) << "one is put, one is removed";
    }
}

// A second init at every moment of the first: one wins, and its key opens what is there.
TEST_F(Crash, OfTwoInitsAtOnceOneWins) {
    for (int calls = 1; calls <= 3; ++calls) {
        MemoryStorage memory(real().clock);
        const Credential mine = make_key(real().random), theirs = make_key(real().random);
        Status second;
        DyingStorage hooked(memory, calls, [&] { second = Repository::init(memory, theirs, {}, real_ports(), forever()); });
        const Status first = Repository::init(hooked, mine, {}, real_ports(), forever());
        const bool has_happened = calls <= 2;
        EXPECT_EQ(first.has_value(), !has_happened) << calls;
        if (!has_happened) continue;
        EXPECT_TRUE(second) << calls;
        EXPECT_EQ(first.error().code, ErrorCode::kAlreadyExists);
        EXPECT_TRUE(Repository::open(memory, theirs, real_ports(), forever()));
        EXPECT_EQ(Repository::open(memory, mine, real_ports(), forever()).error().code, ErrorCode::kWrongKey);
    }
}

class Damage : public Crash {
  protected:
    void SetUp() override {
        Crash::SetUp();
        backup_ = rig_.back_up(from_).backup;
        EXPECT_TRUE(rig_.memory.list(
            "", [&](const ObjectInfo& object) { objects_.push_back(object.name); return true; }, forever()));
    }
    std::string bytes_of_object(const std::string& name) { return read_object(rig_.memory, name, 1 << 30, forever()).value(); }
    void replace(const std::string& name, const std::string& bytes) {
        EXPECT_TRUE(rig_.memory.put(name, repository::bytes_of(bytes), PutMode::kOverwrite, forever()));
    }
    // Whether a fresh machine (no cache) sees that something is wrong.
    bool is_noticed() {
        const Directory fresh;
        auto repository = Repository::open(rig_.memory, key(), real_ports(), forever());
        if (!repository) return true;
        if (!(*repository)->open_index(fresh.path(), SessionKind::kRead, forever())) return true;
        const auto report = check_repository(**repository, {100}, forever());
        return !report || report->problem_count > 0;
    }
    const Credential& key() { return rig_.key(); }

    Rig rig_;
    Backup backup_;
    std::vector<std::string> objects_;
};

TEST_F(Damage, IsNoticedWhereverABitFlips) {
    ASSERT_FALSE(is_noticed());
    Sequence random(3);
    for (const std::string& name : objects_) {
        const std::string good = bytes_of_object(name);
        for (int i = 0; i < 12; ++i) {
            std::string bent = good;
            const std::size_t place = i == 0 ? 0 : i == 1 ? good.size() - 1 : random.next() % good.size();
            bent[place] = static_cast<char>(bent[place] ^ (1 << (random.next() % 8)));
            replace(name, bent);
            // White space, dates and reserved bytes carry nothing; everything else does.
            if (name == "config" || (name.rfind("packs/", 0) == 0 && place > good.size() - 24 && place <= good.size() - 21) ||
                (name.rfind("packs/", 0) != 0 && place > 24 && place < 28)) {
                continue;
            }
            EXPECT_TRUE(is_noticed()) << name << " at " << place << " of " << good.size();
        }
        replace(name, good);
    }
    EXPECT_FALSE(is_noticed());
}

TEST_F(Damage, MissingCutAndSwappedObjectsAreNoticed) {
    for (const std::string& name : objects_) {
        const std::string good = bytes_of_object(name);
        const bool is_backup = name.rfind("backups/", 0) == 0;  // who deletes a backup has deleted it
        if (!is_backup) {
            ASSERT_TRUE(rig_.memory.remove(name, forever()));
            EXPECT_TRUE(is_noticed()) << name;
        }
        replace(name, good.substr(0, good.size() / 2));
        EXPECT_TRUE(is_noticed()) << name;
        for (const std::string& other : objects_) {
            if (other == name) continue;
            replace(name, bytes_of_object(other));
            EXPECT_TRUE(is_noticed()) << other << " in the place of " << name;
        }
        replace(name, good);
    }
}

TEST_F(Damage, ObjectsOfAnotherRepositoryAreNoticedWhereTheyStand) {
    Rig other;
    other.back_up(from_);
    std::vector<std::string> foreign;
    EXPECT_TRUE(other.memory.list("", [&](const ObjectInfo& object) { foreign.push_back(object.name); return true; },
                                  forever()));
    for (const std::string& name : objects_) {
        const std::string kind = name.substr(0, name.find('/'));
        for (const std::string& theirs : foreign) {
            if (theirs.substr(0, theirs.find('/')) != kind || kind == "sessions") continue;
            const std::string good = bytes_of_object(name);
            replace(name, read_object(other.memory, theirs, 1 << 30, forever()).value());
            EXPECT_TRUE(is_noticed()) << theirs << " in the place of " << name;
            replace(name, good);
            // Beside what is ours it is nobody's: no index names it, no key of ours opens it.
            if (kind == "packs" || kind == "keys") {
                replace(theirs, read_object(other.memory, theirs, 1 << 30, forever()).value());
                EXPECT_FALSE(is_noticed()) << theirs;
                EXPECT_TRUE(rig_.memory.remove(theirs, forever()));
            }
        }
    }
    EXPECT_FALSE(is_noticed());
}

TEST_F(Damage, NamesTheBackupsThatAreHit) {
    write_file(from_ + "/later", noise(300000, 5));
    const Backup second = rig_.back_up(from_).backup;
    // Its file may lie in one pack or in two.
    std::string newest;
    std::uint64_t most = 0;
    EXPECT_TRUE(rig_.memory.list(
        "packs/",
        [&](const ObjectInfo& object) {
            if (std::find(objects_.begin(), objects_.end(), object.name) == objects_.end() && object.bytes > most) {
                newest = object.name;
                most = object.bytes;
            }
            return true;
        },
        forever()));
    std::string bytes = bytes_of_object(newest);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    replace(newest, bytes);
    EXPECT_EQ(rig_.check(0).problem_count, 0U) << "structure alone does not read content";
    const CheckReport report = rig_.check(100);
    EXPECT_EQ(report.hit_backups, std::set<std::string>{second.id});
    const Directory out;
    EXPECT_TRUE(rig_.restore(backup_, out.file("first")));
    EXPECT_EQ(rig_.restore(second, out.file("out")).error().code, ErrorCode::kCorrupt);
}

TEST_F(Damage, OfTheCacheIsHealedByItself) {
    for (const auto& entry : fs::recursive_directory_iterator(rig_.state.path())) {
        if (entry.path().extension() == ".run") overwrite_at(entry.path().string(), 700, "????");
    }
    EXPECT_EQ(rig_.check().problem_count, 0U);
    EXPECT_EQ(rig_.restored_difference(backup_, from_), "");
}

TEST_F(Damage, AWrongKeyIsCalledThatAndNothingElse) {
    const auto opened = Repository::open(rig_.memory, make_key(real().random), real_ports(), forever());
    EXPECT_EQ(opened.error().code, ErrorCode::kWrongKey);
    EXPECT_EQ(Repository::init(rig_.memory, key(), {}, real_ports(), forever()).error().code, ErrorCode::kAlreadyExists);
    replace("config", "{\"format\": \"aeterna-repository\", \"version\": 99}");
    EXPECT_EQ(Repository::open(rig_.memory, key(), real_ports(), forever()).error().code, ErrorCode::kConfiguration);
    replace("config", "{\"format\": \"something else\"}");
    EXPECT_EQ(Repository::open(rig_.memory, key(), real_ports(), forever()).error().code, ErrorCode::kNoRepository);
}

TEST_F(Damage, KeysComeAndGoWithoutTheData) {
    const auto repository = rig_.open();
    const Credential passphrase = parse_credential("open sesame").value();
    const std::string slot = repository->add_key(passphrase, "second", {1, 8192}, forever()).value();
    EXPECT_EQ(repository->key_slots(forever()).value().size(), 2U);
    const auto second = Repository::open(rig_.memory, passphrase, real_ports(), forever()).value();
    EXPECT_EQ(second->remove_key(slot, forever()).error().code, ErrorCode::kGuardRefused) << "the one in use";
    EXPECT_EQ(repository->remove_key("none", forever()).error().code, ErrorCode::kNotFound);
    EXPECT_TRUE(repository->remove_key(slot, forever()));
    EXPECT_EQ(Repository::open(rig_.memory, passphrase, real_ports(), forever()).error().code, ErrorCode::kWrongKey);
    EXPECT_EQ(rig_.restored_difference(backup_, from_), "");
}

TEST_F(Damage, AFullStorageIsSaidAndLosesNothing) {
    MemoryStorage small(real().clock, 600000);
    Rig rig(small);
    EXPECT_EQ(rig.back_up_at(small, from_).error().code, ErrorCode::kNoSpace);
    const auto repository = rig.open_at(small).value();
    EXPECT_TRUE(repository->catalog().ids(forever()).value().empty());
    EXPECT_EQ(check_repository(*repository, {100}, forever()).value().problem_count, 0U);
}

}  // namespace
}  // namespace aeterna::repository
