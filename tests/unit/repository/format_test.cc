// Maps, manifests, index segments and runs: there and back, and hostile bytes.
#include <gtest/gtest.h>

#include "repository/format/file_map.h"
#include "repository/format/manifest.h"
#include "repository/index/run_file.h"
#include "rig.h"

namespace aeterna::repository {
namespace {

using namespace testing;

Id some_id(std::uint64_t number) {
    Id id;
    const std::string bytes = noise(id.bytes.size(), number);
    std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
    return id;
}

FileMap some_map(std::size_t pages) {
    FileMap map;
    for (std::size_t i = 0; i < pages; ++i) {
        const std::string hash = noise(16, 1000 + i);
        std::copy(hash.begin(), hash.end(), map.pages.emplace_back().begin());
    }
    map.add({map.chunk_number(some_id(1)), 0, static_cast<std::uint32_t>((pages - 1) * kPageBytes)});
    map.add({kZeros, 7, kPageBytes});
    return map;
}

TEST(FileMap, ComesBackWholeAndAsADifference) {
    const FileMap base = some_map(1000);
    std::string full;
    append_full_map(base, full);
    EXPECT_EQ(complete_map(parse_map(bytes_of(full)).value(), nullptr).value(), base);
    FileMap changed = some_map(1003);
    changed.pages[5] = PageHash{};
    changed.pages[999] = changed.pages[4];
    std::string difference;
    ASSERT_TRUE(append_map_difference(changed, base, some_id(9), difference));
    EXPECT_LT(difference.size(), 300U);
    StoredMap stored = parse_map(bytes_of(difference)).value();
    EXPECT_EQ(stored.base, some_id(9));
    EXPECT_EQ(complete_map(stored, &base).value(), changed);
    EXPECT_FALSE(complete_map(stored, nullptr));
    std::string none;
    EXPECT_FALSE(append_map_difference(some_map(3000), base, some_id(9), none)) << "most pages are new";
    EXPECT_TRUE(none.empty());
}

TEST(FileMap, JoinsNeighboursOnly) {
    FileMap map;
    map.add({0, 0, 10});
    map.add({0, 10, 5});
    map.add({0, 16, 5});
    map.add({kZeros, 3, 5});
    map.add({kZeros, 9, 5});
    EXPECT_EQ(map.extents, (std::vector<Extent>{{0, 0, 15}, {0, 16, 5}, {kZeros, 0, 10}}));
}

// Whatever is parsed does not crash, and what passes is within its bounds.
TEST(FileMap, HostileBytesAreRefused) {
    std::string full, difference;
    append_full_map(some_map(50), full);
    ASSERT_TRUE(append_map_difference(some_map(50), some_map(50), some_id(1), difference));
    Sequence random(5);
    for (const std::string& good : {full, difference}) {
        for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(parse_map(bytes_of(good).first(size))) << size;
        for (int i = 0; i < 3000; ++i) {
            std::string bent = good;
            for (int flips = 0; flips < 3; ++flips) bent[random.next() % std::min<std::size_t>(60, bent.size())] = static_cast<char>(random.next());
            const auto parsed = parse_map(bytes_of(bent));
            if (!parsed) continue;
            EXPECT_LE(parsed->map.bytes(), kSegmentBytes);
            for (const Extent& extent : parsed->map.extents) {
                EXPECT_TRUE(extent.chunk == kZeros || extent.chunk < parsed->map.chunks.size());
            }
        }
    }
}

std::vector<FileRecord> some_records() {
    std::vector<FileRecord> records;
    const char* paths[] = {"", "a", "a/b", "a/b/c", "a/c", "a.b", "b"};
    for (const char* path : paths) {
        FileRecord& record = records.emplace_back();
        record.path = path;
        record.info.type = env::NodeType::kDirectory;
        record.info.mode = 0755;
        record.info.mtime_ns = -1;
    }
    records[3].info.type = env::NodeType::kFile;
    records[3].info.size = kSegmentBytes + 1;
    records[3].info.ctime_ns = 1'700'000'000'123'456'789;
    records[3].kind = ContentKind::kStream;
    records[3].digest = some_id(4);
    records[3].segments.resize(2);
    records[3].segments[0].is_inline = false;
    records[3].segments[0].stored = some_id(5);
    records[3].segments[1].map.add({kZeros, 0, 1});
    records[6].info.type = env::NodeType::kSymlink;
    records[6].target = "a/../b";
    return records;
}

TEST(Manifest, ComesBackInPathOrder) {
    const auto records = some_records();
    ManifestWriter writer;
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (i > 0) {
            EXPECT_LT(compare_paths(records[i - 1].path, records[i].path), 0) << i;
        }
        writer.add(records[i]);
    }
    EXPECT_EQ(writer.first_path(), "");
    const std::string blob = writer.take();
    const auto parsed = parse_manifest(bytes_of(blob)).value();
    ASSERT_EQ(parsed.size(), records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ(parsed[i].path, records[i].path);
        EXPECT_EQ(parsed[i].info.type, records[i].info.type);
        EXPECT_EQ(parsed[i].info.mtime_ns, -1 + records[i].info.mtime_ns + 1);
        EXPECT_EQ(parsed[i].target, records[i].target);
    }
    EXPECT_EQ(parsed[3].digest, records[3].digest);
    EXPECT_EQ(parsed[3].info.ctime_ns, records[3].info.ctime_ns);
    EXPECT_EQ(parsed[3].segments[0].stored, some_id(5));
    EXPECT_EQ(parsed[3].segments[1].map, records[3].segments[1].map);
    for (std::size_t size = 1; size < blob.size(); ++size) {
        const auto cut = parse_manifest(bytes_of(blob).first(size));
        EXPECT_TRUE(!cut || cut->size() < records.size()) << size;
    }
}

TEST(Manifest, NoPathLeadsOut) {
    for (const char* path : {"..", "a/../b", "/etc", "a//b", "a/", ".", "./a"}) {
        FileRecord record;
        record.path = path;
        record.info.type = env::NodeType::kDirectory;
        ManifestWriter writer;
        writer.add(record);
        EXPECT_FALSE(parse_manifest(bytes_of(writer.take()))) << path;
    }
}

TEST(RunFile, FindsEveryRowAndNoOther) {
    const Directory directory;
    const KeyedHash hash(HashKind::kSha256, counting_key());
    const Ports ports = real_ports();
    std::vector<Location> rows;
    std::vector<PackId> packs(3);
    for (std::size_t i = 0; i < packs.size(); ++i) packs[i].bytes[0] = static_cast<char>(i);
    for (std::uint64_t i = 0; i < 5000; ++i) {
        Location row{packs[i % 3], static_cast<std::uint32_t>(i * 100), {EntryType::kPages, Codec::kZstd, 9, 25, some_id(i)}};
        // Runs of equal beginnings, longer than one block.
        if (i >= 2000 && i < 2200) std::fill_n(row.entry.id.bytes.begin(), 8, '\x42');
        rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.entry.id < b.entry.id; });
    RunWriter writer(ports.tree, directory.file("x.run"), hash);
    ASSERT_TRUE(writer.begin({PackId{}}, packs));
    for (const Location& row : rows) {
        ASSERT_TRUE(writer.add(row));
        ASSERT_TRUE(writer.add(row)) << "a second one is left out";
    }
    ASSERT_TRUE(writer.finish());
    const auto run = RunFile::open(ports.tree, directory.file("x.run"), hash).value();
    EXPECT_EQ(run->size(), rows.size());
    for (const Location& row : rows) {
        const auto found = run->find(row.entry.id).value();
        ASSERT_TRUE(found);
        EXPECT_EQ(found->offset, row.offset);
        EXPECT_EQ(found->pack, row.pack);
        EXPECT_EQ(found->entry.type, EntryType::kPages);
    }
    for (std::uint64_t i = 5000; i < 6000; ++i) EXPECT_FALSE(run->find(some_id(i)).value());
    EXPECT_FALSE(RunFile::open(ports.tree, directory.file("x.run"), KeyedHash(HashKind::kSha256, SecretKey("other"))));
    const std::string good = read_file(directory.file("x.run"));
    for (const std::size_t place : {0UL, 9UL, 30UL, 5000UL, good.size() - 1}) {
        overwrite_at(directory.file("x.run"), place, std::string(1, static_cast<char>(good[place] ^ 1)));
        EXPECT_FALSE(RunFile::open(ports.tree, directory.file("x.run"), hash)) << place;
        overwrite_at(directory.file("x.run"), place, std::string(1, good[place]));
    }
    EXPECT_TRUE(RunFile::open(ports.tree, directory.file("x.run"), hash));
}

}  // namespace
}  // namespace aeterna::repository
