// Index segment: the tables of some packs, gathered in one object "index/<random>". Segments only ever add; prune puts
// a new one before it removes the old. All together they are the repository's index.
//
//     packs varint, for each: pack id 16, pack bytes varint, table counted (the rows of the pack's own table)
#pragma once

#include <vector>

#include "base/result.h"
#include "repository/format/pack.h"

namespace aeterna::repository {

struct PackContents {
    PackId id;
    std::uint64_t bytes = 0;  // of the whole pack
    std::vector<SealedEntry> entries;
};

// Where an entry is.
struct Location {
    PackId pack;
    std::uint32_t offset = 0;
    SealedEntry entry;
};

[[nodiscard]] std::string encode_index_segment(std::span<const PackContents> packs);
[[nodiscard]] Result<std::vector<PackContents>> parse_index_segment(Bytes bytes);
// The entries with the places that follow from their lengths.
[[nodiscard]] std::vector<Location> locations_of(const PackContents& pack);

}  // namespace aeterna::repository
