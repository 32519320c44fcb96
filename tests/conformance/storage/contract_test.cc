// What every storage driver must keep (repository/storage/storage.h), whatever is behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "rooms.h"

namespace aeterna::repository::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::span<const char> view(std::string_view text) { return {text.data(), text.size()}; }

// No byte pattern repeats, so that a part in the wrong place is seen.
std::string noise(std::size_t count, std::uint64_t seed) {
    std::string text(count, '\0');
    for (char& byte : text) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<char>(seed >> 56);
    }
    return text;
}

class StorageContract : public ::testing::TestWithParam<RoomKind> {
  protected:
    void SetUp() override {
        if (GetParam().make == nullptr) GTEST_SKIP() << GetParam().missing;
        room = GetParam().make();
        storage = room->open();
    }
    static env::Context soon() { return within(60s); }

    Status put(const std::string& name, std::string_view bytes, PutMode mode = PutMode::kIfAbsent) {
        return storage->put(name, view(bytes), mode, soon());
    }
    std::string get(const std::string& name) {
        const auto info = storage->stat(name, soon());
        if (!info) return "error: " + info.error().to_string();
        std::string bytes(info->bytes + 10, '\0');
        const auto count = storage->read(name, 0, bytes, soon());
        if (!count) return "error: " + count.error().to_string();
        bytes.resize(*count);
        return bytes;
    }
    std::vector<std::string> names(const std::string& prefix = "") {
        std::vector<std::string> found;
        const Status listed = storage->list(prefix, [&](const ObjectInfo& info) {
            found.push_back(info.name);
            return true;
        }, soon());
        EXPECT_TRUE(listed) << listed.error().to_string();
        return found;
    }
    static ErrorCode code_of(const Status& status) { return status ? ErrorCode::kInternal : status.error().code; }
    template <class T>
    static ErrorCode code_of(const Result<T>& result) {
        return result ? ErrorCode::kInternal : result.error().code;
    }

    std::unique_ptr<Room> room;
    std::unique_ptr<Storage> storage;
};

TEST_P(StorageContract, BytesComeBackAsTheyWere) {
    for (const std::size_t size : {0U, 1U, 4096U, 1'000'001U}) {
        const std::string bytes = noise(size, size);
        const std::string name = "data/n" + std::to_string(size);
        const Status done = put(name, bytes);
        ASSERT_TRUE(done) << done.error().to_string();
        EXPECT_EQ(get(name), bytes) << size;
        EXPECT_EQ(storage->stat(name, soon())->bytes, size);
        EXPECT_EQ(storage->stat(name, soon())->name, name);
    }
}

TEST_P(StorageContract, ReadsFromAnyOffset) {
    const std::string bytes = noise(10'000, 1);
    ASSERT_TRUE(put("a/b", bytes));
    std::string into(3000, '\0');
    EXPECT_EQ(storage->read("a/b", 1234, into, soon()), 3000U);
    EXPECT_EQ(into, bytes.substr(1234, 3000));
    EXPECT_EQ(storage->read("a/b", 9000, into, soon()), 1000U);
    EXPECT_EQ(into.substr(0, 1000), bytes.substr(9000));
    EXPECT_EQ(storage->read("a/b", 10'000, into, soon()), 0U);
    EXPECT_EQ(storage->read("a/b", 99'999'999, into, soon()), 0U);
    EXPECT_EQ(storage->read("a/b", 5, std::span<char>(), soon()), 0U);
}

TEST_P(StorageContract, AMissingObjectIsNotFound) {
    ASSERT_TRUE(put("folder/there", "x"));
    std::string into(10, '\0');
    for (const std::string name : {"missing", "folder/missing", "missing/there", "folder"}) {
        EXPECT_EQ(code_of(storage->stat(name, soon())), ErrorCode::kNotFound) << name;
        EXPECT_EQ(code_of(storage->read(name, 0, into, soon())), ErrorCode::kNotFound) << name;
    }
}

TEST_P(StorageContract, ATakenNameIsKept) {
    ASSERT_TRUE(put("config", "first"));
    EXPECT_EQ(code_of(put("config", "second")), ErrorCode::kAlreadyExists);
    EXPECT_EQ(get("config"), "first");
    auto writer = storage->create("config", soon());
    Status done = writer ? (*writer)->append(view("third"), soon()) : Status(writer.error());
    if (done) done = (*writer)->commit(soon());
    EXPECT_EQ(code_of(done), ErrorCode::kAlreadyExists);
    EXPECT_EQ(get("config"), "first");
    EXPECT_THAT(names(), ElementsAre("config"));
}

TEST_P(StorageContract, OverwriteReplaces) {
    ASSERT_TRUE(put("a/session", "long old content", PutMode::kOverwrite));
    ASSERT_TRUE(put("a/session", "new", PutMode::kOverwrite));
    EXPECT_EQ(get("a/session"), "new");
}

TEST_P(StorageContract, OneOfManyWinsAFreeName) {
    constexpr int kWriters = 6;
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    std::atomic<int> winner{-1};
    std::vector<std::thread> threads;
    for (int i = 0; i < kWriters; ++i) {
        threads.emplace_back([&, i] {
            const auto own = room->open();
            const Status done =
                own->put("config", view("writer " + std::to_string(i)), PutMode::kIfAbsent, soon());
            if (done) winner = i;
            (done ? won : lost) += 1;
            EXPECT_TRUE(done || done.error().code == ErrorCode::kAlreadyExists) << done.error().to_string();
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, kWriters - 1);
    EXPECT_EQ(get("config"), "writer " + std::to_string(winner));
}

TEST_P(StorageContract, AReaderSeesTheOldOrTheNew) {
    const std::string old_bytes(50'000, 'o');
    const std::string new_bytes(50'000, 'n');
    ASSERT_TRUE(put("x", old_bytes));
    std::atomic<bool> is_over{false};
    std::thread writer([&] {
        const auto own = room->open();
        for (int i = 0; i < 20; ++i) {
            EXPECT_TRUE(own->put("x", view(i % 2 == 0 ? new_bytes : old_bytes), PutMode::kOverwrite, soon()));
        }
        is_over = true;
    });
    int reads = 0;
    while (!is_over || reads == 0) {
        std::string into(50'000, '\0');
        const auto count = storage->read("x", 0, into, soon());
        ASSERT_TRUE(count) << count.error().to_string();
        EXPECT_TRUE(into == old_bytes || into == new_bytes);
        ++reads;
    }
    writer.join();
}

TEST_P(StorageContract, AWriterIsSeenAfterCommitOnly) {
    const std::string bytes = noise(room->large_bytes() + 12345, 7);
    auto writer = storage->create("data/00/pack", soon());
    ASSERT_TRUE(writer) << writer.error().to_string();
    for (std::size_t at = 0; at < bytes.size(); at += 700'001) {
        const Status done = (*writer)->append(view(std::string_view(bytes).substr(at, 700'001)), soon());
        ASSERT_TRUE(done) << done.error().to_string();
    }
    EXPECT_EQ(code_of(storage->stat("data/00/pack", soon())), ErrorCode::kNotFound);
    EXPECT_THAT(names(), IsEmpty());
    const Status done = (*writer)->commit(soon());
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_THAT(names(), ElementsAre("data/00/pack"));
    EXPECT_TRUE(get("data/00/pack") == bytes);
    std::string into(1000, '\0');
    ASSERT_EQ(storage->read("data/00/pack", bytes.size() - 1500, into, soon()), 1000U);
    EXPECT_EQ(into, bytes.substr(bytes.size() - 1500, 1000));
}

TEST_P(StorageContract, AWriterOfNothingMakesAnEmptyObject) {
    auto writer = storage->create("empty", soon());
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->commit(soon()));
    EXPECT_EQ(storage->stat("empty", soon())->bytes, 0U);
}

TEST_P(StorageContract, ADroppedWriterLeavesNothingThatCounts) {
    {
        auto writer = storage->create("data/pack", soon());
        ASSERT_TRUE(writer);
        ASSERT_TRUE((*writer)->append(view(noise(room->large_bytes(), 3)), soon()));
    }
    EXPECT_THAT(names(), IsEmpty());
    ASSERT_TRUE(put("data/pack", "free"));
    EXPECT_EQ(get("data/pack"), "free");
}

TEST_P(StorageContract, ListsInTheOrderOfWholeNames) {
    // '-' and '.' sort before '/', digits, '=' and letters after it.
    const std::vector<std::string> sorted = {"a-b", "a.b", "a/c", "a/c-d", "a/d/e", "a0", "a=b", "ab/c", "b"};
    for (std::size_t i = 0; i < sorted.size(); ++i) ASSERT_TRUE(put(sorted[(i * 5 + 2) % sorted.size()], "x"));
    EXPECT_EQ(names(), sorted);
    EXPECT_THAT(names("a/"), ElementsAre("a/c", "a/c-d", "a/d/e"));
    EXPECT_THAT(names("a/c"), ElementsAre("a/c", "a/c-d"));
    EXPECT_THAT(names("ab"), ElementsAre("ab/c"));
    EXPECT_THAT(names("a/d/"), ElementsAre("a/d/e"));
    EXPECT_THAT(names("zz"), IsEmpty());
    EXPECT_THAT(names("b/"), IsEmpty());
}

TEST_P(StorageContract, ListingPagesStopsAndLetsTheCallerWork) {
    std::vector<std::string> sorted;
    for (int i = 0; i < 40; ++i) {
        sorted.push_back("data/" + std::string(1, static_cast<char>('0' + i / 10)) + "/" + std::to_string(i % 10));
        ASSERT_TRUE(put(sorted.back(), std::string(static_cast<std::size_t>(i), 'x')));
    }
    EXPECT_EQ(names("data/"), sorted);
    int seen = 0;
    ASSERT_TRUE(storage->list("data/", [&](const ObjectInfo& info) {
        EXPECT_EQ(info.bytes, static_cast<std::uint64_t>(seen));
        EXPECT_EQ(get(info.name).size(), info.bytes);
        EXPECT_TRUE(storage->remove(info.name, soon()));
        return ++seen < 15;
    }, soon()));
    EXPECT_EQ(seen, 15);
    EXPECT_EQ(names("data/").size(), 25U);
}

TEST_P(StorageContract, RemovesAndTakesMissingForDone) {
    ASSERT_TRUE(put("a/b", "x"));
    ASSERT_TRUE(put("a/bc", "y"));
    EXPECT_TRUE(storage->remove("a/b", soon()));
    EXPECT_TRUE(storage->remove("a/b", soon()));
    EXPECT_TRUE(storage->remove("never/there", soon()));
    EXPECT_THAT(names(), ElementsAre("a/bc"));
    ASSERT_TRUE(put("a/b", "again"));
    EXPECT_EQ(get("a/b"), "again");
}

TEST_P(StorageContract, RefusesWhatIsNoName) {
    std::string into(10, '\0');
    for (const std::string name :
         {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", ".hidden", "a/.tmp-1", "a b", "a\nb", "a%2e", "\xc3\xa9",
          "a\\b", "a:b", "a*", "a?b", "a#b"}) {
        EXPECT_EQ(code_of(put(name, "x")), ErrorCode::kUsage) << name;
        EXPECT_EQ(code_of(storage->create(name, soon())), ErrorCode::kUsage) << name;
        EXPECT_EQ(code_of(storage->stat(name, soon())), ErrorCode::kUsage) << name;
        EXPECT_EQ(code_of(storage->read(name, 0, into, soon())), ErrorCode::kUsage) << name;
        EXPECT_EQ(code_of(storage->remove(name, soon())), ErrorCode::kUsage) << name;
    }
    EXPECT_EQ(code_of(put(std::string(201, 'a'), "x")), ErrorCode::kUsage);
    EXPECT_TRUE(put(std::string(200, 'a'), "x"));
    const auto all = [](const ObjectInfo&) { return true; };
    EXPECT_EQ(code_of(storage->list("../", all, soon())), ErrorCode::kUsage);
    EXPECT_EQ(code_of(storage->list("/", all, soon())), ErrorCode::kUsage);
}

TEST_P(StorageContract, ItsClockIsTheOneOfItsObjects) {
    const auto before = storage->now(soon());
    ASSERT_TRUE(before) << before.error().to_string();
    ASSERT_TRUE(put("a", "x"));
    const auto info = storage->stat("a", soon());
    const auto after = storage->now(soon());
    ASSERT_TRUE(info);
    ASSERT_TRUE(after);
    EXPECT_LE(*before, info->modified + room->clock_resolution());
    EXPECT_LE(info->modified, *after + room->clock_resolution());
    EXPECT_THAT(names(), ElementsAre("a")) << "the clock is no object";
    WallTime listed{};
    ASSERT_TRUE(storage->list("", [&](const ObjectInfo& found) {
        listed = found.modified;
        return true;
    }, soon()));
    EXPECT_LE(listed - info->modified, room->clock_resolution());
    EXPECT_LE(info->modified - listed, room->clock_resolution());
}

TEST_P(StorageContract, SweepsOnlyWhatIsUnfinishedAndOld) {
    ASSERT_TRUE(put("data/done", "x"));
    if (!room->can_abandon()) {
        EXPECT_EQ(storage->sweep_unfinished(WallTime::max(), soon()), 0U);
        EXPECT_EQ(get("data/done"), "x");
        return;
    }
    room->abandon("data/half");
    if (HasFatalFailure()) return;
    EXPECT_THAT(names(), ElementsAre("data/done"));
    const auto now = storage->now(soon());
    ASSERT_TRUE(now);
    EXPECT_EQ(storage->sweep_unfinished(*now - 1h, soon()), 0U);
    EXPECT_EQ(storage->sweep_unfinished(*now + 1h, soon()), 1U);
    EXPECT_EQ(storage->sweep_unfinished(*now + 1h, soon()), 0U);
    EXPECT_EQ(get("data/done"), "x");
    ASSERT_TRUE(put("data/half", "whole"));
}

TEST_P(StorageContract, ASweptWriterFailsAndLeavesNothing) {
    auto writer = storage->create("data/slow", soon());
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->append(view(noise(room->large_bytes(), 5)), soon()));
    const auto now = storage->now(soon());
    ASSERT_TRUE(now);
    const bool is_swept = storage->sweep_unfinished(*now + 1h, soon()) == 1U;
    EXPECT_EQ(is_swept, room->can_abandon());
    EXPECT_EQ((*writer)->commit(soon()).has_value(), !is_swept);
    EXPECT_EQ(names().size(), is_swept ? 0U : 1U);
}

TEST_P(StorageContract, SeesWhatAnotherOneWrote) {
    const auto other = room->open();
    ASSERT_TRUE(other->put("a/b", view("from the other"), PutMode::kIfAbsent, soon()));
    EXPECT_EQ(get("a/b"), "from the other");
    EXPECT_TRUE(storage->remove("a/b", soon()));
    EXPECT_EQ(code_of(other->stat("a/b", soon())), ErrorCode::kNotFound);
    EXPECT_FALSE(storage->describe().empty());
}

TEST_P(StorageContract, AnEmptyPlaceListsNothing) {
    EXPECT_THAT(names(), IsEmpty());
    EXPECT_TRUE(storage->remove("a", soon()));
    EXPECT_EQ(storage->sweep_unfinished(WallTime::max(), soon()), 0U);
}

TEST_P(StorageContract, NothingBeginsAfterStopOrDeadline) {
    std::stop_source stop;
    stop.request_stop();
    std::string into(10, '\0');
    ASSERT_TRUE(put("a", "x"));
    const std::pair<env::Context, ErrorCode> cases[] = {
        {within(60s, stop.get_token()), ErrorCode::kCancelled},
        {within(-1ms), ErrorCode::kDeadline},
    };
    for (const auto& [over, expected] : cases) {
        EXPECT_EQ(code_of(storage->put("b", view("x"), PutMode::kIfAbsent, over)), expected);
        EXPECT_EQ(code_of(storage->read("a", 0, into, over)), expected);
        EXPECT_EQ(code_of(storage->stat("a", over)), expected);
        EXPECT_EQ(code_of(storage->remove("a", over)), expected);
        EXPECT_EQ(code_of(storage->now(over)), expected);
        EXPECT_EQ(code_of(storage->list("", [](const ObjectInfo&) { return true; }, over)), expected);
        EXPECT_EQ(code_of(storage->sweep_unfinished(WallTime::max(), over)), expected);
        auto writer = storage->create("c", soon());
        ASSERT_TRUE(writer);
        EXPECT_EQ(code_of((*writer)->append(view("x"), over)), expected);
        EXPECT_EQ(code_of((*writer)->commit(over)), expected);
    }
    EXPECT_THAT(names(), ElementsAre("a"));
}

INSTANTIATE_TEST_SUITE_P(Storage, StorageContract, ::testing::ValuesIn(room_kinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace aeterna::repository::testing
