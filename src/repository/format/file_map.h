// File map: where the bytes of one segment (at most kSegmentBytes) of a file are: extents of chunks, or zeros; for
// paged files also every page's hash, with which the next backup finds what changed without fetching a chunk.
//
// A map is inlined into the file's record when small, otherwise an entry of its own. Page hashes of a changed segment
// are written as a difference to a full map, one step deep: a chain that grows would make restores slow.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "repository/chunk/content_kind.h"
#include "repository/chunk/page_hashes.h"
#include "repository/id.h"

namespace aeterna::repository {

inline constexpr std::uint32_t kZeros = UINT32_MAX;  // an extent of no chunk

struct Extent {
    std::uint32_t chunk = kZeros;  // place in FileMap::chunks
    std::uint32_t offset = 0;      // in the chunk's plain bytes
    std::uint32_t bytes = 0;
    friend bool operator==(const Extent&, const Extent&) = default;
};

struct FileMap {
    std::vector<Id> chunks;
    std::vector<Extent> extents;   // in file order, without gaps
    std::vector<PageHash> pages;   // of paged files
    friend bool operator==(const FileMap&, const FileMap&) = default;

    [[nodiscard]] std::uint64_t bytes() const;
    // Joins with the extent before where both are neighbours in one chunk, or both zeros.
    void add(const Extent& extent);
    // The place of `id` in chunks, added when missing.
    std::uint32_t chunk_number(const Id& id);
};

void append_full_map(const FileMap& map, std::string& out);
// A difference to `base`, whose id is `base_id`; false when it would save less than half: then `out` is unchanged.
[[nodiscard]] bool append_map_difference(const FileMap& map, const FileMap& base, const Id& base_id, std::string& out);

// A map as stored: complete, or waiting for its base's page hashes.
struct StoredMap {
    FileMap map;
    bool has_base = false;
    Id base;
    struct Change {
        std::uint32_t page = 0;
        PageHash hash{};
    };
    std::vector<Change> changes;  // in page order
    std::uint32_t page_count = 0;
};
[[nodiscard]] Result<StoredMap> parse_map(Bytes bytes);
// Completes `stored` with its base's pages. kCorrupt when they do not fit.
[[nodiscard]] Result<FileMap> complete_map(StoredMap stored, const FileMap* base);

// Of the segment's content: over its page hashes where it has them, else over its chunks. The same bytes in a file of
// the same kind give the same digest, however patches lie.
[[nodiscard]] Id segment_digest(const FileMap& map, const KeyedHash& digest);

}  // namespace aeterna::repository
