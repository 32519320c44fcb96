// The local driver on a disk that forgets: the power is cut at every call of a piece of work, whatever was not synced
// is lost or kept in every mixture, and what had been acknowledged must be there, whole.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "power_loss_disk.h"
#include "repository/storage/local.h"
#include "unit/support/fake_env.h"

namespace aeterna::repository::testing {
namespace {

using aeterna::testing::FakeClock;
using aeterna::testing::FakeRandom;

const std::string kRoot = "/mnt/backup/repository";

std::vector<Survival> survivals() {
    std::vector<Survival> all = {{false, false}, {false, true}, {true, false}, {true, true}};
    for (std::uint64_t seed = 1; seed <= 12; ++seed) all.push_back({false, false, seed});
    return all;
}

// One name's life: which contents may be found after the cut ("" = absent is allowed).
struct Expectation {
    std::set<std::string> contents;
    bool may_be_absent = true;
};

class World {
  public:
    World() { EXPECT_TRUE(disk.make_directory("/mnt", 0755) && disk.sync_directory("/")); }
    [[nodiscard]] LocalStorage open(PowerLossDisk& on) { return {on, random, clock, kRoot}; }
    [[nodiscard]] env::Context soon() const { return clock.context(); }

    PowerLossDisk disk;
    FakeClock clock;
    FakeRandom random;
};

std::span<const char> view(std::string_view text) { return {text.data(), text.size()}; }

std::string read_all(LocalStorage& storage, const std::string& name, const env::Context& context) {
    std::string bytes(1000, '\0');
    const auto count = storage.read(name, 0, bytes, context);
    if (!count) return "error: " + count.error().to_string();
    bytes.resize(*count);
    return bytes;
}

// Notes what may be there before each call, and what must be there after it was acknowledged.
class Script {
  public:
    Script(World& world, LocalStorage& storage) : world_(world), storage_(storage) {}
    std::map<std::string, Expectation> expected;

    bool put(const std::string& name, const std::string& bytes, PutMode mode) {
        return write(name, bytes, [&] { return storage_.put(name, view(bytes), mode, world_.soon()); });
    }
    bool stream(const std::string& name, const std::string& bytes) {
        return write(name, bytes, [&]() -> Status {
            AETERNA_ASSIGN(const auto writer, storage_.create(name, world_.soon()));
            for (std::size_t at = 0; at < bytes.size(); at += 3) {
                AETERNA_TRY(writer->append(view(std::string_view(bytes).substr(at, 3)), world_.soon()));
            }
            return writer->commit(world_.soon());
        });
    }
    bool remove(const std::string& name) {
        expected[name].may_be_absent = true;
        if (!storage_.remove(name, world_.soon())) return false;
        expected[name] = Expectation{};
        return true;
    }

  private:
    bool write(const std::string& name, const std::string& bytes, const std::function<Status()>& act) {
        expected[name].contents.insert(bytes);
        if (!act()) return false;
        expected[name] = Expectation{{bytes}, false};
        return true;
    }

    World& world_;
    LocalStorage& storage_;
};

bool run_script(Script& script) {
    return script.put("config", "the configuration", PutMode::kIfAbsent) &&
           script.put("sessions/one", "begun", PutMode::kOverwrite) &&
           script.stream("data/ab/pack-1", "pack content") &&
           script.put("sessions/one", "refreshed", PutMode::kOverwrite) &&
           script.stream("data/ab/pack-2", "another pack") && script.put("index/1", "index", PutMode::kIfAbsent) &&
           script.remove("data/ab/pack-1") && script.remove("sessions/one") &&
           script.put("data/ab/pack-1", "a new one", PutMode::kIfAbsent);
}

// What is wrong on a disk that came back; empty: nothing.
std::string find_violation(World& world, PowerLossDisk& disk, const std::map<std::string, Expectation>& expected) {
    LocalStorage storage = world.open(disk);
    std::set<std::string> listed;
    const Status done = storage.list("", [&](const ObjectInfo& info) {
        listed.insert(info.name);
        return true;
    }, world.soon());
    if (!done) return "list: " + done.error().to_string();
    for (const auto& [name, wanted] : expected) {
        if (!listed.contains(name)) {
            if (!wanted.may_be_absent) return fmt::format("'{}' was acknowledged and is gone", name);
            continue;
        }
        const std::string found = read_all(storage, name, world.soon());
        if (!wanted.contents.contains(found)) return fmt::format("'{}' holds '{}'", name, found);
        listed.erase(name);
    }
    return listed.empty() ? "" : fmt::format("'{}' was never written", *listed.begin());
}

// Cuts the script's work at every call; the first violation, or nothing.
std::string first_violation(PowerLossDisk::Lies lies, std::uint64_t& cuts) {
    for (std::uint64_t cut = 0;; ++cut) {
        World world;
        world.disk.lie(lies);
        world.disk.cut_at(world.disk.calls() + cut);
        LocalStorage storage = world.open(world.disk);
        Script script(world, storage);
        const bool is_complete = run_script(script);
        cuts = cut;
        for (const Survival& survival : survivals()) {
            const auto after = world.disk.survive(survival);
            const std::string violation = find_violation(world, *after, script.expected);
            if (!violation.empty()) return fmt::format("cut {}, {}: {}", cut, survival.describe(), violation);
        }
        if (is_complete) return "";
    }
}

TEST(PowerLoss, WhatWasAcknowledgedSurvivesEveryCut) {
    std::uint64_t cuts = 0;
    EXPECT_EQ(first_violation({}, cuts), "");
    EXPECT_GT(cuts, 50U) << "the script reached the disk";
}

TEST(PowerLoss, TheModelSeesAMissingSync) {
    std::uint64_t cuts = 0;
    EXPECT_NE(first_violation({.sync_data = true}, cuts), "");
    EXPECT_NE(first_violation({.sync_directory = true}, cuts), "");
}

TEST(PowerLoss, WhatWasLeftUnfinishedIsSwept) {
    for (std::uint64_t cut = 0; cut < 60; ++cut) {
        World world;
        world.disk.cut_at(world.disk.calls() + cut);
        LocalStorage storage = world.open(world.disk);
        Script script(world, storage);
        (void)run_script(script);
        const auto after = world.disk.survive({true, true});
        LocalStorage again = world.open(*after);
        ASSERT_TRUE(again.sweep_unfinished(WallTime::max(), world.soon()));
        std::size_t objects = 0;
        ASSERT_TRUE(again.list("", [&](const ObjectInfo&) { return ++objects > 0; }, world.soon()));
        EXPECT_EQ(after->count_files(), objects) << "cut " << cut;
    }
}

// A writer is killed (the power stays) at every call; a reader lists what it left and builds on it; then the power
// goes: what was listed has to be there still, and so has what a second writer was told to exist.
TEST(PowerLoss, WhatAnotherProcessWasToldSurvivesToo) {
    for (std::uint64_t cut = 0;; ++cut) {
        World world;
        world.disk.cut_at(world.disk.calls() + cut);
        LocalStorage killed = world.open(world.disk);
        const bool is_complete =
            killed.put("a/deep/place/object", view("content"), PutMode::kIfAbsent, world.soon()).has_value();
        world.disk.never_cut();

        LocalStorage reader = world.open(world.disk);
        bool is_listed = false;
        ASSERT_TRUE(reader.list("a/", [&](const ObjectInfo& info) {
            is_listed = info.name == "a/deep/place/object";
            return true;
        }, world.soon()));
        for (const Survival& survival : survivals()) {
            if (!is_listed) break;
            const auto after = world.disk.survive(survival);
            LocalStorage storage = world.open(*after);
            EXPECT_EQ(read_all(storage, "a/deep/place/object", world.soon()), "content")
                << "listed, cut " << cut << ", " << survival.describe();
        }
        if (is_complete) break;
    }
}

TEST(PowerLoss, ASecondWriterRestsOnDurableDirectoriesAndNames) {
    for (std::uint64_t cut = 0;; ++cut) {
        World world;
        world.disk.cut_at(world.disk.calls() + cut);
        LocalStorage killed = world.open(world.disk);
        const bool is_complete =
            killed.put("a/deep/place/object", view("content"), PutMode::kIfAbsent, world.soon()).has_value();
        world.disk.never_cut();

        LocalStorage second = world.open(world.disk);
        const Status same = second.put("a/deep/place/object", view("content"), PutMode::kIfAbsent, world.soon());
        ASSERT_TRUE(same || same.error().code == ErrorCode::kAlreadyExists) << same.error().to_string();
        ASSERT_TRUE(second.put("a/deep/place/other", view("other"), PutMode::kIfAbsent, world.soon()));
        for (const Survival& survival : survivals()) {
            const auto after = world.disk.survive(survival);
            LocalStorage storage = world.open(*after);
            EXPECT_EQ(read_all(storage, "a/deep/place/object", world.soon()), "content")
                << "cut " << cut << ", " << survival.describe();
            EXPECT_EQ(read_all(storage, "a/deep/place/other", world.soon()), "other");
        }
        if (is_complete) break;
    }
}

TEST(FullDisk, LeavesNothingHalfVisibleAtAnyCall) {
    for (std::uint64_t call = 0;; ++call) {
        World world;
        LocalStorage storage = world.open(world.disk);
        ASSERT_TRUE(storage.put("old/object", view("old"), PutMode::kIfAbsent, world.soon()));
        const std::size_t files = world.disk.count_files();
        world.disk.full_from(world.disk.calls() + call);
        Script script(world, storage);
        const std::string name = "data/ab/pack";
        Status done = storage.put(name, view("bytes"), PutMode::kIfAbsent, world.soon());
        if (done) {
            EXPECT_GT(call, 2U);
            break;
        }
        EXPECT_EQ(done.error().code, ErrorCode::kNoSpace) << done.error().to_string();
        EXPECT_FALSE(done.error().hint.empty());
        EXPECT_FALSE(script.stream(name, "pack content"));
        EXPECT_EQ(world.disk.count_files(), files) << "call " << call;
        EXPECT_TRUE(storage.stat("old/object", world.soon()));
        world.disk.full_from(std::nullopt);
        EXPECT_TRUE(script.stream(name, "pack content"));
        EXPECT_EQ(read_all(storage, name, world.soon()), "pack content");
    }
}

TEST(FullDisk, TellsTheTimeAndRemoves) {
    World world;
    LocalStorage storage = world.open(world.disk);
    ASSERT_TRUE(storage.put("object", view("x"), PutMode::kIfAbsent, world.soon()));
    const auto before = storage.now(world.soon());
    ASSERT_TRUE(before);
    world.disk.full_from(0);
    const auto after = storage.now(world.soon());
    ASSERT_TRUE(after) << after.error().to_string();
    EXPECT_LT(*before, *after);
    EXPECT_TRUE(storage.remove("object", world.soon()));
}

}  // namespace
}  // namespace aeterna::repository::testing
