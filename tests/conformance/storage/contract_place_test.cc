// What every storage driver must keep for all its objects together: listing, clock, sweeping, other processes.
#include <gmock/gmock.h>

#include "contract.h"

namespace aeterna::repository::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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
    // More parts than may be under way at once: S3 lets those arrive after an abort (AbortMultipartUpload), so it is the
    // ones before them that the commit must miss.
    for (int i = 0; i < 3; ++i) ASSERT_TRUE((*writer)->append(view(noise(room->large_bytes(), 5)), soon()));
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

}  // namespace
}  // namespace aeterna::repository::testing
