#include "repository/format/index_segment.h"

#include "repository/format/wire.h"

namespace aeterna::repository {

std::string encode_index_segment(std::span<const PackContents> packs) {
    std::string out, rows;
    WireWriter writer(out);
    writer.varint(packs.size());
    for (const PackContents& pack : packs) {
        writer.raw(pack.id.view());
        writer.varint(pack.bytes);
        rows.clear();
        append_table(pack.entries, rows);
        writer.counted(rows);
    }
    return out;
}

Result<std::vector<PackContents>> parse_index_segment(Bytes bytes) {
    const Error damaged = make_error(ErrorCode::kCorrupt, "an index segment is damaged");
    WireReader reader(bytes);
    std::vector<PackContents> packs(reader.count(sizeof(PackId) + 2));
    for (PackContents& pack : packs) {
        pack.id = reader.name<PackId>();
        pack.bytes = reader.varint();
        AETERNA_ASSIGN(pack.entries, parse_table(bytes_of(reader.counted())));
        std::uint64_t end = kPackHeaderBytes;
        for (const SealedEntry& entry : pack.entries) end += entry.sealed_bytes;
        if (!reader.is_good() || end > pack.bytes || pack.bytes > UINT32_MAX) return damaged;
    }
    if (!reader.is_done()) return damaged;
    return packs;
}

std::vector<Location> locations_of(const PackContents& pack) {
    std::vector<Location> places;
    places.reserve(pack.entries.size());
    std::uint64_t offset = kPackHeaderBytes;
    for (const SealedEntry& entry : pack.entries) {
        places.push_back({pack.id, static_cast<std::uint32_t>(offset), entry});
        offset += entry.sealed_bytes;
    }
    return places;
}

}  // namespace aeterna::repository
