#include "repository/format/file_map.h"

#include <algorithm>

#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

constexpr std::uint8_t kFull = 1, kDifference = 2;
constexpr std::size_t kLookBack = 1024;  // all that a segment has, but for one that is changed out of all shape

Error damaged_map() { return make_error(ErrorCode::kCorrupt, "a file map is damaged_map"); }

void append_extents(const FileMap& map, WireWriter& writer) {
    writer.varint(map.chunks.size());
    for (const Id& id : map.chunks) writer.id(id);
    writer.varint(map.extents.size());
    for (const Extent& extent : map.extents) {
        writer.varint(extent.chunk == kZeros ? 0 : extent.chunk + 1ULL);
        writer.varint(extent.offset);
        writer.varint(extent.bytes);
    }
}

bool read_extents(WireReader& reader, FileMap& map) {
    const std::size_t chunks = reader.count(sizeof(Id));
    for (std::size_t i = 0; i < chunks; ++i) map.chunks.push_back(reader.id());
    const std::size_t extents = reader.count(3);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < extents && reader.is_good(); ++i) {
        const std::uint64_t chunk = reader.varint(), offset = reader.varint(), bytes = reader.varint();
        if (chunk > map.chunks.size() || offset > kSegmentBytes || bytes == 0 || bytes > kSegmentBytes) return false;
        total += bytes;
        map.extents.push_back({chunk == 0 ? kZeros : static_cast<std::uint32_t>(chunk - 1),
                               static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes)});
    }
    return reader.is_good() && total <= kSegmentBytes;
}

}  // namespace

std::uint64_t FileMap::bytes() const {
    std::uint64_t total = 0;
    for (const Extent& extent : extents) total += extent.bytes;
    return total;
}

void FileMap::add(const Extent& extent) {
    if (!extents.empty()) {
        Extent& last = extents.back();
        const bool is_next = extent.chunk == kZeros || last.offset + last.bytes == extent.offset;
        // Chunks of a stream stay apart: each names itself.
        if (last.chunk == extent.chunk && is_next) {
            last.bytes += extent.bytes;
            return;
        }
    }
    extents.push_back(extent);
    if (extent.chunk == kZeros) extents.back().offset = 0;
}

std::uint32_t FileMap::chunk_number(const Id& id) {
    const std::size_t first = chunks.size() - std::min(chunks.size(), kLookBack);
    for (std::size_t i = chunks.size(); i-- > first;) {
        if (chunks[i] == id) return static_cast<std::uint32_t>(i);
    }
    chunks.push_back(id);
    return static_cast<std::uint32_t>(chunks.size() - 1);
}

void append_full_map(const FileMap& map, std::string& out) {
    WireWriter writer(out);
    writer.u8(kFull);
    append_extents(map, writer);
    writer.varint(map.pages.size());
    const Bytes pages = bytes_of(std::span<const PageHash>(map.pages));
    writer.raw({pages.data(), pages.size()});
}

bool append_map_difference(const FileMap& map, const FileMap& base, const Id& base_id, std::string& out) {
    std::size_t changed = 0;
    const auto differs = [&](std::size_t i) { return i >= base.pages.size() || map.pages[i] != base.pages[i]; };
    for (std::size_t i = 0; i < map.pages.size(); ++i) changed += differs(i) ? 1 : 0;
    if (changed * 2 >= map.pages.size()) return false;
    WireWriter writer(out);
    writer.u8(kDifference);
    append_extents(map, writer);
    writer.id(base_id);
    writer.varint(map.pages.size());
    writer.varint(changed);
    std::size_t last = 0;
    for (std::size_t i = 0; i < map.pages.size(); ++i) {
        if (!differs(i)) continue;
        writer.varint(i - last);
        writer.raw({map.pages[i].data(), map.pages[i].size()});
        last = i;
    }
    return true;
}

Result<StoredMap> parse_map(Bytes bytes) {
    WireReader reader(bytes);
    StoredMap stored;
    const std::uint8_t form = reader.u8();
    if ((form != kFull && form != kDifference) || !read_extents(reader, stored.map)) return damaged_map();
    if (form == kFull) {
        const std::size_t pages = reader.count(sizeof(PageHash));
        const std::string_view hashes = reader.raw(pages * sizeof(PageHash));
        stored.map.pages.resize(pages);
        if (!hashes.empty()) std::memcpy(stored.map.pages.data(), hashes.data(), hashes.size());
    } else {
        stored.has_base = true;
        stored.base = reader.id();
        const std::uint64_t pages = reader.varint();
        if (pages > pages_in(kSegmentBytes)) return damaged_map();
        stored.page_count = static_cast<std::uint32_t>(pages);
        const std::size_t changes = reader.count(1 + sizeof(PageHash));
        std::uint64_t page = 0;
        for (std::size_t i = 0; i < changes; ++i) {
            page += reader.varint();
            if (page >= pages) return damaged_map();
            StoredMap::Change& change = stored.changes.emplace_back();
            change.page = static_cast<std::uint32_t>(page);
            const std::string_view hash = reader.raw(sizeof(PageHash));
            if (!hash.empty()) std::memcpy(change.hash.data(), hash.data(), hash.size());
        }
    }
    if (!reader.is_done()) return damaged_map();
    if (!stored.has_base && !stored.map.pages.empty() && stored.map.pages.size() != pages_in(stored.map.bytes())) {
        return damaged_map();
    }
    return stored;
}

Result<FileMap> complete_map(StoredMap stored, const FileMap* base) {
    if (!stored.has_base) return std::move(stored.map);
    if (base == nullptr || stored.page_count != pages_in(stored.map.bytes())) return damaged_map();
    stored.map.pages.assign(base->pages.begin(),
                            base->pages.begin() + static_cast<std::ptrdiff_t>(
                                                      std::min<std::size_t>(base->pages.size(), stored.page_count)));
    stored.map.pages.resize(stored.page_count);
    for (const StoredMap::Change& change : stored.changes) stored.map.pages[change.page] = change.hash;
    return std::move(stored.map);
}

Id segment_digest(const FileMap& map, const KeyedHash& digest) {
    std::string text;
    WireWriter writer(text);
    if (!map.pages.empty()) {
        writer.u8(static_cast<std::uint8_t>(ContentKind::kPages));
        const Bytes pages = bytes_of(std::span<const PageHash>(map.pages));
        writer.raw({pages.data(), pages.size()});
        return digest(bytes_of(text));
    }
    writer.u8(static_cast<std::uint8_t>(ContentKind::kStream));
    for (const Extent& extent : map.extents) {
        writer.varint(extent.bytes);
        if (extent.chunk != kZeros) writer.id(map.chunks[extent.chunk]);
    }
    return digest(bytes_of(text));
}

}  // namespace aeterna::repository
