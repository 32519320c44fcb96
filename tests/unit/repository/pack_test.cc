// Entries and packs: what went in comes out, and no flipped bit, swap or cut passes.
#include <gtest/gtest.h>

#include "repository/format/pack.h"
#include "repository/format/sealed_object.h"
#include "samples.h"

namespace aeterna::repository {
namespace {

using testing::counting_key;
using testing::floats;
using testing::noise;
using testing::rows;
using testing::Sequence;

class PackTest : public ::testing::Test {
  protected:
    std::string build() {
        PackBuilder builder(id_, keys_, compressor_);
        std::string pack;
        for (const std::string& plain : plains_) {
            builder.add(EntryType::kData, keys_.content(bytes_of(plain)), bytes_of(plain));
            pack += builder.buffer();
            builder.flushed();
        }
        builder.finish();
        return pack + builder.buffer();
    }
    Result<std::vector<SealedEntry>> table_of(const std::string& pack) {
        AETERNA_TRY(check_header(bytes_of(pack).first(std::min(pack.size(), kPackHeaderBytes)), id_));
        const std::size_t footer = pack.size() - std::min(pack.size(), kPackFooterBytes);
        AETERNA_ASSIGN(const TablePlace place, parse_footer(bytes_of(pack).subspan(footer), pack.size(), id_));
        EntryCodec codec(compressor_, pack_key(keys_, id_));
        return open_table(place, bytes_of(pack).subspan(place.offset, place.entry.sealed_bytes), codec);
    }
    // Every plain text, or the first error.
    Result<std::vector<std::string>> read(const std::string& pack) {
        AETERNA_ASSIGN(const auto table, table_of(pack));
        EntryCodec codec(compressor_, pack_key(keys_, id_));
        std::vector<std::string> plains;
        std::uint64_t offset = kPackHeaderBytes;
        for (const SealedEntry& entry : table) {
            AETERNA_TRY(codec.open(entry, offset, bytes_of(pack).subspan(offset, entry.sealed_bytes),
                                   plains.emplace_back()));
            if (name_of(entry.type, bytes_of(plains.back()), keys_) != entry.id) {
                return make_error(ErrorCode::kCorrupt, "another content");
            }
            offset += entry.sealed_bytes;
        }
        return plains;
    }

    const RepositoryKeys keys_{HashKind::kSha256, counting_key()};
    Compressor compressor_;
    Sequence random_{9};
    const PackId id_ = random_name(random_);
    const std::vector<std::string> plains_ = {rows(3000, 1), "", noise(500, 2), "a", rows(70000, 3)};
};

TEST_F(PackTest, GivesBackWhatItHolds) {
    const std::string pack = build();
    EXPECT_EQ(read(pack).value(), plains_);
    EXPECT_LT(pack.size(), 30000U) << "rows compress";
    const auto table = table_of(pack).value();
    EXPECT_EQ(table[0].codec, Codec::kZstd);
    EXPECT_EQ(table[2].codec, Codec::kRaw) << "noise is stored as it is";
}

TEST_F(PackTest, VectorsAreDealtOutToPlanes) {
    PackBuilder builder(id_, keys_, compressor_);
    std::vector<std::string> vectors;
    for (const std::size_t size : {8192U, 100001U, 1U << 20}) {
        vectors.push_back(floats(size, size));
        builder.add(EntryType::kData, keys_.content(bytes_of(vectors.back())), bytes_of(vectors.back()));
    }
    builder.finish();
    EXPECT_EQ(read(builder.buffer()).value(), vectors);
    const auto table = table_of(builder.buffer()).value();
    for (const SealedEntry& entry : table) EXPECT_EQ(entry.codec, Codec::kZstdPlanes);
    EXPECT_LT(table[2].sealed_bytes, 0.86 * (1 << 20)) << "plain zstd leaves 0.92";
}

TEST_F(PackTest, AnEmptyPackIsAPack) {
    PackBuilder builder(id_, keys_, compressor_);
    builder.finish();
    EXPECT_TRUE(read(builder.buffer()).value().empty());
}

TEST_F(PackTest, NoFlippedBitPasses) {
    const std::string pack = build();
    for (std::size_t i = 0; i < pack.size(); i += i < 4000 || i + 400 > pack.size() ? 1 : 37) {
        // The footer's three reserved bytes mean nothing.
        if (i > pack.size() - kPackFooterBytes && i <= pack.size() - kPackFooterBytes + 3) continue;
        std::string bent = pack;
        bent[i] = static_cast<char>(bent[i] ^ (1 << (i % 8)));
        EXPECT_FALSE(read(bent)) << i;
    }
}

TEST_F(PackTest, NoCutPasses) {
    const std::string pack = build();
    for (std::size_t size = 0; size < pack.size(); size += 13) EXPECT_FALSE(read(pack.substr(0, size))) << size;
}

TEST_F(PackTest, EntriesOpenOnlyInTheirOwnPlaceAndPack) {
    const std::string plain = noise(100, 4);
    const Id id = keys_.content(bytes_of(plain));
    EntryCodec here(compressor_, pack_key(keys_, id_)), there(compressor_, pack_key(keys_, random_name(random_)));
    std::string sealed, opened;
    const SealedEntry entry = here.seal(EntryType::kData, id, bytes_of(plain), 24, sealed);
    EXPECT_TRUE(here.open(entry, 24, bytes_of(sealed), opened));
    EXPECT_FALSE(here.open(entry, 25, bytes_of(sealed), opened));
    EXPECT_FALSE(there.open(entry, 24, bytes_of(sealed), opened));
    SealedEntry relabelled = entry;
    relabelled.type = EntryType::kMap;
    EXPECT_FALSE(here.open(relabelled, 24, bytes_of(sealed), opened));
}

TEST_F(PackTest, ANewerPackSaysSo) {
    std::string pack = build();
    pack[7] = 9;
    EXPECT_EQ(read(pack).error().code, ErrorCode::kConfiguration);
}

// The format must not change by accident: raw entries, so that the vector is independent of zstd's version.
TEST_F(PackTest, BytesAreThoseOfTheFormat) {
    PackBuilder builder(id_, keys_, compressor_);
    const std::string plain = noise(16, 5);
    builder.add(EntryType::kData, keys_.content(bytes_of(plain)), bytes_of(plain));
    EXPECT_EQ(to_hex(builder.buffer()), "4144525041434b01646070befe52afae62eaaf875e8a2dc0d2dec087e448bfb7b46e9c1da5de4a4b41e1502ae6fbd9c61a949ebefd74d7b5");
}

TEST_F(PackTest, ObjectsOpenUnderTheirOwnNameOnly) {
    const std::string object = seal_object(EntryType::kBackup, "backups/a", bytes_of("{}"), keys_, id_, compressor_);
    EXPECT_EQ(open_object(EntryType::kBackup, "backups/a", bytes_of(object), keys_, compressor_).value(), "{}");
    EXPECT_EQ(open_object(EntryType::kBackup, "backups/b", bytes_of(object), keys_, compressor_).error().code,
              ErrorCode::kCorrupt);
    EXPECT_FALSE(open_object(EntryType::kIndexSegment, "backups/a", bytes_of(object), keys_, compressor_));
    for (std::size_t i = 0; i < object.size(); ++i) {
        if (i > 24 && i < 28) continue;  // reserved
        std::string bent = object;
        bent[i] = static_cast<char>(bent[i] ^ 1);
        EXPECT_FALSE(open_object(EntryType::kBackup, "backups/a", bytes_of(bent), keys_, compressor_)) << i;
        EXPECT_FALSE(open_object(EntryType::kBackup, "backups/a", bytes_of(object).first(i), keys_, compressor_));
    }
}

}  // namespace
}  // namespace aeterna::repository
