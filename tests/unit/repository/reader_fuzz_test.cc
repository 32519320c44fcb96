// The readers of the format on bytes that nobody would write: every one ends with a result or an error, within bounds.
// The seeds are fixed; AETERNA_FUZZ_ROUNDS makes it longer (the sanitizer build runs it with more).
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "repository/catalog.h"
#include "repository/crypto/key_envelope.h"
#include "repository/format/file_map.h"
#include "repository/format/index_segment.h"
#include "repository/format/manifest.h"
#include "repository/format/pack.h"
#include "repository/pipeline/entry_reader.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

std::size_t rounds() {
    const char* wanted = std::getenv("AETERNA_FUZZ_ROUNDS");
    return wanted != nullptr ? static_cast<std::size_t>(std::atoll(wanted)) : 20000;
}

// Flips, cuts, doubles, overwrites with extremes: what breaks parsers of lengths and counts.
std::string bend(std::string text, Sequence& random) {
    const std::size_t times = 1 + random.next() % 4;
    for (std::size_t i = 0; i < times && !text.empty(); ++i) {
        const std::size_t place = random.next() % text.size();
        switch (random.next() % 6) {
            case 0: text[place] = static_cast<char>(text[place] ^ (1 << (random.next() % 8))); break;
            case 1: text[place] = static_cast<char>(0xff); break;
            case 2: text[place] = static_cast<char>(random.next()); break;
            case 3: text.resize(place); break;
            case 4: text.insert(place, text.substr(place, 1 + random.next() % 40)); break;
            default: text.replace(place, std::min<std::size_t>(9, text.size() - place), std::string(9, '\xff')); break;
        }
    }
    return text;
}

// `read` is called with the good text, which it has to take, and with many bent ones.
void fuzz(const std::string& good, const std::function<bool(const std::string&)>& read, std::uint64_t seed) {
    ASSERT_TRUE(read(good));
    Sequence random(seed);
    std::size_t refused = 0;
    for (std::size_t i = 0; i < rounds(); ++i) refused += read(bend(good, random)) ? 0 : 1;
    EXPECT_GT(refused, rounds() / 20) << "nothing of it was looked at";
    for (std::size_t size = 0; size < std::min<std::size_t>(good.size(), 300); ++size) {
        static_cast<void>(read(good.substr(0, size)));
        static_cast<void>(read(noise(size, seed + size)));
    }
}

Id id_of(std::uint64_t seed) {
    Id id;
    const std::string bytes = noise(32, seed);
    std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
    return id;
}

std::vector<SealedEntry> some_entries() {
    std::vector<SealedEntry> entries;
    for (std::uint64_t i = 0; i < 20; ++i) {
        entries.push_back({EntryType::kData, Codec::kZstd, static_cast<std::uint32_t>(1000 + i), static_cast<std::uint32_t>(500 + i), id_of(i)});
    }
    return entries;
}

TEST(ReaderFuzz, IndexSegments) {
    PackContents pack{random_name(real().random), 100000, some_entries()};
    fuzz(encode_index_segment(std::vector<PackContents>{pack, pack}),
         [](const std::string& text) { return parse_index_segment(bytes_of(text)).has_value(); }, 1);
}

TEST(ReaderFuzz, PackTablesFootersAndHeaders) {
    std::string table;
    append_table(some_entries(), table);
    fuzz(table, [](const std::string& text) { return parse_table(bytes_of(text)).has_value(); }, 2);
    const Rig rig;
    const auto repository = Repository::open(const_cast<MemoryStorage&>(rig.memory), rig.key(), real_ports(), forever()).value();
    Compressor compressor;
    PackBuilder builder(random_name(real().random), repository->keys(), compressor);
    builder.add(EntryType::kData, id_of(1), bytes_of(noise(5000, 3)));
    builder.finish();
    const std::string whole = builder.buffer();
    fuzz(whole, [&](const std::string& text) {
        if (text.size() < kPackHeaderBytes + kPackFooterBytes) return false;
        if (!check_header(bytes_of(text).first(kPackHeaderBytes), builder.id())) return false;
        const auto place = parse_footer(bytes_of(text).subspan(text.size() - kPackFooterBytes), text.size(), builder.id());
        if (!place) return false;
        EXPECT_LE(place->offset + place->entry.sealed_bytes, text.size());
        EntryCodec codec(compressor, pack_key(repository->keys(), builder.id()));
        return open_table(*place, bytes_of(text).subspan(place->offset, place->entry.sealed_bytes), codec).has_value();
    }, 3);
}

TEST(ReaderFuzz, SealedObjects) {
    const Rig rig;
    const auto repository = Repository::open(const_cast<MemoryStorage&>(rig.memory), rig.key(), real_ports(), forever()).value();
    Compressor compressor;
    const std::string object = seal_object(EntryType::kLogPiece, "logs/a/0", bytes_of(rows(3000, 1)), repository->keys(),
                                           random_name(real().random), compressor);
    fuzz(object, [&](const std::string& text) {
        const auto plain = open_object(EntryType::kLogPiece, "logs/a/0", bytes_of(text), repository->keys(), compressor);
        EXPECT_TRUE(!plain || *plain == rows(3000, 1)) << "what opens is what was sealed";
        return plain.has_value();
    }, 4);
}

TEST(ReaderFuzz, ManifestsAndMaps) {
    // What the program itself writes for a tree of every kind of node.
    Rig rig;
    const Directory from;
    write_sample_tree(from.path(), 200);
    fs::create_symlink("conf/1", from.file("link"));
    const Backup backup = rig.back_up(from.path()).backup;
    const auto repository = rig.open();
    EntryReader reader(*repository, forever());
    std::string root, blob, map;
    ASSERT_TRUE(reader.read(EntryType::kManifestRoot, backup.manifest.front(), root));
    ManifestCursor cursor(reader);
    ASSERT_TRUE(cursor.open(backup));
    ASSERT_TRUE(reader.read(EntryType::kManifest, cursor.rows().front().blob, blob));
    fuzz(root, [](const std::string& text) { return parse_manifest_rows(bytes_of(text)).has_value(); }, 5);
    fuzz(blob, [](const std::string& text) {
        const auto records = parse_manifest(bytes_of(text));
        for (std::size_t i = 0; records && i < records->size(); ++i) {
            const std::string& path = (*records)[i].path;
            EXPECT_EQ(path.find("/../"), std::string::npos);
            EXPECT_FALSE(path.starts_with("../") || path.starts_with('/') || path.ends_with("/..") || path == "..") << path;
        }
        return records.has_value();
    }, 6);
    const auto record = find_record(reader, backup, "table");
    ASSERT_TRUE(record);
    ASSERT_FALSE(record->segments.empty());
    ASSERT_FALSE(record->segments.front().is_inline);
    ASSERT_TRUE(reader.read(EntryType::kMap, record->segments.front().stored, map));
    fuzz(map, [](const std::string& text) {
        auto stored = parse_map(bytes_of(text));
        if (!stored) return false;
        const FileMap none;
        return complete_map(std::move(*stored), &none).has_value();
    }, 7);
}

TEST(ReaderFuzz, CatalogEntriesKeysAndEscrows) {
    Backup backup;
    backup.id = "20260301T000000000Z-00000001";
    backup.log = Backup::Log{"t1", 1, 2};
    backup.manifest = {id_of(1), id_of(2)};
    fuzz(encode_backup(backup), [](const std::string& text) { return decode_backup(text).has_value(); }, 8);
    const MasterKey master{"00112233445566778899aabbccddeeff", HashKind::kSha256, SecretKey(noise(32, 1))};
    const Credential key = make_key(real().random);
    const std::string envelope = wrap_master_key(master, key, {"first", "2026-03-01T00:00:00Z"}, real().random).value();
    fuzz(envelope, [&](const std::string& text) { return unwrap_master_key(text, key).has_value(); }, 9);
    fuzz(escrow_text(master, "/srv/repo", "2026-03-01T00:00:00Z"), [&](const std::string& text) {
        const auto read = parse_credential(text);
        const bool is_escrow = read && read->kind == Credential::Kind::kEscrow;
        EXPECT_TRUE(!is_escrow || read->secret.reveal() == noise(32, 1));
        return is_escrow;
    }, 10);
}

}  // namespace
}  // namespace aeterna::repository
