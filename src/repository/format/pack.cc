#include "repository/format/pack.h"

#include <fmt/format.h>

#include "base/check.h"
#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kPackMagic = "ADRPACK", kEndMagic = "ADRPEND";
constexpr std::uint8_t kPackVersion = 1;

// The table is an entry as well; its id is the pack's.
Id table_id(const PackId& id) {
    Id padded;
    std::memcpy(padded.bytes.data(), id.bytes.data(), id.bytes.size());
    return padded;
}

Error damaged(std::string_view what) { return make_error(ErrorCode::kCorrupt, fmt::format("the pack's {}", what)); }

bool is_known(std::uint8_t type, std::uint8_t codec) {
    return type >= static_cast<std::uint8_t>(EntryType::kData) &&
           type <= static_cast<std::uint8_t>(EntryType::kManifestRoot) &&
           is_codec(codec);
}

}  // namespace

std::string pack_name(const PackId& id) {
    const std::string hex = id.to_hex();
    return fmt::format("packs/{}/{}", hex.substr(0, 2), hex);
}

SecretKey pack_key(const RepositoryKeys& keys, const PackId& id) {
    return derive_key(keys.sealing, id.view(), "aeterna repository 1 pack");
}

PackBuilder::PackBuilder(const PackId& id, const RepositoryKeys& keys, Compressor& compressor)
    : id_(id), codec_(compressor, pack_key(keys, id)) {
    WireWriter writer(buffer_);
    writer.raw(kPackMagic);
    writer.u8(kPackVersion);
    writer.raw(id.view());
}

void PackBuilder::add(EntryType type, const Id& id, Bytes plain) {
    entries_.push_back(codec_.seal(type, id, plain, bytes(), buffer_));
}

void PackBuilder::finish() {
    std::string rows;
    append_table(entries_, rows);
    const SealedEntry table = codec_.seal(EntryType::kPackTable, table_id(id_), bytes_of(rows), bytes(), buffer_);
    WireWriter writer(buffer_);
    writer.u8(static_cast<std::uint8_t>(table.codec));
    writer.raw(std::string_view("\0\0\0", 3));
    writer.u32(table.plain_bytes);
    writer.u32(table.sealed_bytes);
    writer.u32(static_cast<std::uint32_t>(entries_.size()));
    writer.raw(kEndMagic);
    writer.u8(kPackVersion);
}

void append_table(const std::vector<SealedEntry>& entries, std::string& out) {
    WireWriter writer(out);
    for (const SealedEntry& entry : entries) {
        writer.u8(static_cast<std::uint8_t>(entry.type));
        writer.u8(static_cast<std::uint8_t>(entry.codec));
        writer.u32(entry.plain_bytes);
        writer.u32(entry.sealed_bytes);
        writer.id(entry.id);
    }
}

Result<std::vector<SealedEntry>> parse_table(Bytes rows) {
    if (rows.size() % kTableRowBytes != 0) return damaged("table has half a row");
    std::vector<SealedEntry> entries;
    entries.reserve(rows.size() / kTableRowBytes);
    WireReader reader(rows);
    while (reader.remaining() > 0) {
        const std::uint8_t type = reader.u8(), codec = reader.u8();
        if (!is_known(type, codec)) return damaged(fmt::format("table has a row of type {}, codec {}", type, codec));
        SealedEntry& entry = entries.emplace_back();
        entry.type = static_cast<EntryType>(type);
        entry.codec = static_cast<Codec>(codec);
        entry.plain_bytes = reader.u32();
        entry.sealed_bytes = reader.u32();
        entry.id = reader.id();
        if (entry.plain_bytes > kMaxEntryBytes || entry.sealed_bytes > entry.plain_bytes + kTagBytes ||
            entry.sealed_bytes < kTagBytes) {
            return damaged("table has an impossible length");
        }
    }
    return entries;
}

Result<TablePlace> parse_footer(Bytes footer, std::uint64_t pack_bytes, const PackId& id) {
    if (footer.size() != kPackFooterBytes || pack_bytes < kPackHeaderBytes + kPackFooterBytes + kTagBytes) {
        return damaged("end is missing");
    }
    WireReader reader(footer);
    TablePlace place;
    place.entry.type = EntryType::kPackTable;
    place.entry.id = table_id(id);
    const std::uint8_t codec = reader.u8();
    reader.raw(3);
    place.entry.codec = static_cast<Codec>(codec);
    place.entry.plain_bytes = reader.u32();
    place.entry.sealed_bytes = reader.u32();
    place.count = reader.u32();
    if (reader.raw(kEndMagic.size()) != kEndMagic || reader.u8() != kPackVersion) return damaged("end is damaged");
    if (!is_codec(codec) || place.entry.sealed_bytes < kTagBytes ||
        place.entry.sealed_bytes > pack_bytes - kPackHeaderBytes - kPackFooterBytes ||
        place.entry.plain_bytes > kMaxEntryBytes || place.entry.plain_bytes != place.count * kTableRowBytes) {
        return damaged("end is damaged");
    }
    place.offset = pack_bytes - kPackFooterBytes - place.entry.sealed_bytes;
    return place;
}

Result<std::vector<SealedEntry>> open_table(const TablePlace& place, Bytes sealed, EntryCodec& codec) {
    std::string rows;
    AETERNA_TRY(codec.open(place.entry, place.offset, sealed, rows));
    AETERNA_ASSIGN(std::vector<SealedEntry> entries, parse_table(bytes_of(rows)));
    std::uint64_t offset = kPackHeaderBytes;
    for (const SealedEntry& entry : entries) offset += entry.sealed_bytes;
    if (offset != place.offset || entries.size() != place.count) return damaged("table does not fit the pack");
    return entries;
}

Status check_header(Bytes header, const PackId& id) {
    WireReader reader(header);
    if (reader.raw(kPackMagic.size()) != kPackMagic) return damaged("beginning is damaged");
    const std::uint8_t version = reader.u8();
    if (reader.name<PackId>() != id || !reader.is_good()) return damaged("beginning is of another pack");
    if (version > kPackVersion) {
        return make_error(ErrorCode::kConfiguration, fmt::format("the pack has format version {}", version),
                          "Use a newer aeterna-dr.");
    }
    if (version != kPackVersion) return damaged("beginning is damaged");
    return {};
}

}  // namespace aeterna::repository
