// What every storage driver must keep for single objects (repository/storage/storage.h), whatever is behind it.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "contract.h"

namespace aeterna::repository::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

const auto kName = [](const auto& kind) { return kind.param.name; };
INSTANTIATE_TEST_SUITE_P(Storage, StorageContract, ::testing::ValuesIn(room_kinds()), kName);
// Apart, because it may be missing, and only it.
INSTANTIATE_TEST_SUITE_P(Versitygw, StorageContract, ::testing::Values(versitygw_kind()), kName);

}  // namespace
}  // namespace aeterna::repository::testing
