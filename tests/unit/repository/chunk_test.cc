// Cutting: the two-stream chunker equals its definition, insertions stay local, kinds are recognised by content.
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "repository/chunk/content_kind.h"
#include "repository/chunk/float_array.h"
#include "repository/chunk/gear.h"
#include "repository/chunk/page_hashes.h"
#include "samples.h"

namespace aeterna::repository {
namespace {

using testing::counting_key;
using testing::noise;
using testing::rows;

std::vector<std::size_t> cuts_of(const Gear& gear, Bytes bytes) {
    std::vector<std::size_t> lengths;
    while (!bytes.empty()) {
        lengths.push_back(gear.cut(bytes));
        bytes = bytes.subspan(lengths.back());
    }
    return lengths;
}

TEST(Gear, TwoStreamsCutWhereOneWould) {
    const Gear gear(counting_key());
    const std::string samples[] = {noise(8 << 20, 1), rows(8 << 20, 2), std::string(3 << 20, '\0')};
    for (const std::string& sample : samples) {
        for (Bytes rest = bytes_of(sample); !rest.empty();) {
            const std::size_t length = gear.cut(rest);
            ASSERT_EQ(length, gear.cut_plainly(rest)) << rest.size();
            rest = rest.subspan(length);
        }
    }
    // Every length of the end, around minimum, lanes and maximum.
    for (const std::size_t edge : {kMinChunk, kMinChunk + 2048, kMinChunk + 4096, kMaxChunk}) {
        for (std::size_t size = edge - 70; size < edge + 70; ++size) {
            const Bytes bytes = bytes_of(samples[0]).subspan(1000, size);
            ASSERT_EQ(gear.cut(bytes), gear.cut_plainly(bytes)) << size;
        }
    }
}

// A cut in the second lane that comes at an earlier step than one in the first lane must not win.
TEST(Gear, TheFirstLaneWins) {
    const Gear gear(counting_key());
    const std::string sample = noise(2 << 20, 4);
    const std::size_t end = gear.cut_plainly(bytes_of(sample));
    const std::string cutting = sample.substr(end - 64, 64);  // h depends on nothing else
    std::string bytes(kMaxChunk, '\0');
    bytes.replace(kMinChunk + 1500, cutting.size(), cutting);
    bytes.replace(kMinChunk + 2048 + 500, cutting.size(), cutting);
    ASSERT_EQ(gear.cut_plainly(bytes_of(bytes)), kMinChunk + 1500 + cutting.size());
    EXPECT_EQ(gear.cut(bytes_of(bytes)), kMinChunk + 1500 + cutting.size());
}

TEST(Gear, ChunksKeepTheirBoundsAndAverage) {
    const std::string sample = noise(32 << 20, 3);
    const auto lengths = cuts_of(Gear(counting_key()), bytes_of(sample));
    for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
        EXPECT_GT(lengths[i], kMinChunk);
        EXPECT_LE(lengths[i], kMaxChunk);
    }
    EXPECT_GT(lengths.size(), 32U * 4 * 3 / 4);
    EXPECT_LT(lengths.size(), 32U * 4 * 4 / 3);
}

TEST(Gear, CutsAreThoseOfTheFormat) {
    const std::string sample = noise(2 << 20, 4);
    EXPECT_EQ(cuts_of(Gear(counting_key()), bytes_of(sample)), (std::vector<std::size_t>{73836, 235170, 105036, 99233, 95406, 100354, 656257, 323251, 150321, 258288}));
}

TEST(Gear, AnInsertionMovesNoDistantCut) {
    const Gear gear(counting_key());
    const std::string before = noise(8 << 20, 5);
    const std::string after = before.substr(0, 3 << 20) + "!" + before.substr(3 << 20);
    std::set<std::string> known;
    std::size_t place = 0, shared = 0;
    for (const std::size_t length : cuts_of(gear, bytes_of(before))) {
        known.insert(before.substr(place, length));
        place += length;
    }
    place = 0;
    for (const std::size_t length : cuts_of(gear, bytes_of(after))) {
        if (known.count(after.substr(place, length)) > 0) shared += length;
        place += length;
    }
    EXPECT_GT(shared, after.size() - 3 * kMaxChunk);
    EXPECT_LT(shared, after.size());
}

std::string postgres_page(std::uint16_t lower, std::uint16_t upper, char fill) {
    std::string page(kPageBytes, fill);
    std::memset(page.data(), 0, 24);
    const std::uint16_t special = 8192, layout = 8192 | 4;
    std::memcpy(page.data() + 12, &lower, 2);
    std::memcpy(page.data() + 14, &upper, 2);
    std::memcpy(page.data() + 16, &special, 2);
    std::memcpy(page.data() + 18, &layout, 2);
    return page;
}

TEST(ContentKind, LooksAtSizeAndContent) {
    const std::string good = postgres_page(28, 8000, 'x'), zeros(kPageBytes, '\0');
    const std::string odd = postgres_page(8001, 8000, 'x'), text = rows(4 * kPageBytes, 1);
    EXPECT_EQ(recognise(0, {}), ContentKind::kEmpty);
    EXPECT_EQ(recognise(kSmallFileBytes, bytes_of(good)), ContentKind::kSmall);
    EXPECT_EQ(recognise(9 * kPageBytes, bytes_of(good + good + zeros + good)), ContentKind::kPages);
    EXPECT_EQ(recognise(9 * kPageBytes, bytes_of(good + good + odd + good)), ContentKind::kStream);
    EXPECT_EQ(recognise(9 * kPageBytes, bytes_of(zeros + zeros + zeros + zeros)), ContentKind::kStream);
    EXPECT_EQ(recognise(9 * kPageBytes + 1, bytes_of(good + good + good + good)), ContentKind::kStream);
    EXPECT_EQ(recognise(9 * kPageBytes, bytes_of(text)), ContentKind::kStream);
    EXPECT_EQ(recognise(16 << 20, bytes_of(text)), ContentKind::kPages) << "laid out in whole mebibytes";
    const std::string vectors = "data" + floats(4 * kPageBytes - 4, 1);
    EXPECT_EQ(recognise((9 << 20) + 4, bytes_of(vectors)), ContentKind::kPages) << "an array, whatever its length";
}

TEST(FloatArray, IsToldFromEverythingElse) {
    const std::size_t size = 32768;
    EXPECT_TRUE(is_float_array(bytes_of(floats(size, 1))));
    for (const char* header : {"d", "da", "dat", "data"}) {
        EXPECT_TRUE(is_float_array(bytes_of(header + floats(size, 2)))) << header;
    }
    EXPECT_FALSE(is_float_array(bytes_of(floats(8191, 3)))) << "too short to tell";
    EXPECT_FALSE(is_float_array(bytes_of(noise(size, 4))));
    EXPECT_FALSE(is_float_array(bytes_of(rows(size, 5))));
    EXPECT_FALSE(is_float_array(bytes_of(std::string(size, '\0'))));
    std::string integers, tuples;
    Sequence sequence(6);
    for (std::uint32_t i = 0; i < size / 4; ++i) {
        const std::uint32_t number = i * 7;
        integers.append(reinterpret_cast<const char*>(&number), 4);
    }
    while (tuples.size() < size) tuples += noise(16, sequence.next()) + std::string(8, '\1');
    EXPECT_FALSE(is_float_array(bytes_of(integers)));
    EXPECT_FALSE(is_float_array(bytes_of(tuples)));
}

TEST(FloatArray, PlanesJoinToWhatWasSplit) {
    for (const std::size_t size : {0U, 1U, 3U, 4U, 7U, 8U, 4099U}) {
        const std::string plain = noise(size, size);
        std::string planes(size, 'x'), back(size, 'y');
        split_planes(bytes_of(plain), planes);
        join_planes(bytes_of(planes), back);
        EXPECT_EQ(back, plain) << size;
        for (std::size_t i = 0; i < size / 4 * 4; ++i) ASSERT_EQ(planes[i % 4 * (size / 4) + i / 4], plain[i]) << size << " " << i;
    }
    std::string planes(10, '\0');
    split_planes(bytes_of(std::string("0123456789")), planes);
    EXPECT_EQ(planes, "0415263789") << "docs/repository-format.md, codec 2";
}

TEST(PageHashes, TheLastPageMayBeShorter) {
    const KeyedHash hash(HashKind::kSha256, counting_key());
    const std::string pages = noise(kPageBytes + 5, 6);
    std::vector<PageHash> hashes;
    append_page_hashes(hash, bytes_of(pages), hashes);
    ASSERT_EQ(hashes.size(), 2U);
    EXPECT_EQ(std::memcmp(hashes[1].data(), hash(bytes_of(pages).subspan(kPageBytes)).bytes.data(), 16), 0);
}

// Pages are hashed many at once, and those of zeros are left out: each hash still stands at its page's place.
TEST(PageHashes, StandAtTheirPagesWhateverLiesBetween) {
    std::string pages = testing::noise(40 * kPageBytes + 100, 3);
    for (const std::size_t zero : {0, 5, 17, 18, 39}) pages.replace(zero * kPageBytes, kPageBytes, kPageBytes, '\0');
    const KeyedHash hash(HashKind::kSha256, testing::counting_key());
    std::vector<PageHash> hashes(1);  // what is there stays
    append_page_hashes(hash, bytes_of(pages), hashes);
    ASSERT_EQ(hashes.size(), 42U);
    for (std::size_t page = 0; page <= 40; ++page) {
        const Bytes content = bytes_of(pages).subspan(page * kPageBytes).first(page < 40 ? kPageBytes : 100);
        const std::string expected = is_zero(content) ? std::string(16, '\0') : std::string(hash(content).view().substr(0, 16));
        EXPECT_EQ(std::string(hashes[page + 1].begin(), hashes[page + 1].end()), expected) << page;
    }
}

TEST(PageHashes, ChangeWithTheirPageAndTheKey) {
    const KeyedHash hash(HashKind::kSha256, counting_key()), other(HashKind::kSha256, SecretKey("k"));
    std::string pages = noise(3 * kPageBytes, 6) + std::string(kPageBytes, '\0');
    std::vector<PageHash> before, after, keyed;
    append_page_hashes(hash, bytes_of(pages), before);
    append_page_hashes(other, bytes_of(pages), keyed);
    pages[kPageBytes + 5] = static_cast<char>(pages[kPageBytes + 5] ^ 1);
    append_page_hashes(hash, bytes_of(pages), after);
    ASSERT_EQ(before.size(), 4U);
    EXPECT_EQ(before[0], after[0]);
    EXPECT_NE(before[1], after[1]);
    EXPECT_EQ(before[2], after[2]);
    EXPECT_EQ(before[3], PageHash{});
    EXPECT_NE(before[0], keyed[0]);
}

}  // namespace
}  // namespace aeterna::repository
