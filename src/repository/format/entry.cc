#include "repository/format/entry.h"

#include <fmt/format.h>

#include "base/check.h"
#include "repository/chunk/content_kind.h"
#include "repository/chunk/page_hashes.h"
#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

std::string associated_data(const SealedEntry& entry) {
    std::string bytes;
    WireWriter writer(bytes);
    writer.u8(static_cast<std::uint8_t>(entry.type));
    writer.u8(static_cast<std::uint8_t>(entry.codec));
    writer.u32(entry.plain_bytes);
    writer.id(entry.id);
    return bytes;
}

}  // namespace

Id name_of(EntryType type, Bytes plain, const RepositoryKeys& keys) {
    if (type != EntryType::kPages || plain.size() % kPageBytes != 0) return keys.content(plain);
    std::vector<PageHash> pages;
    append_page_hashes(keys.page, plain, pages);
    return keys.group(bytes_of(std::span<const PageHash>(pages)));
}

Compressor::Compressor() : compressing_(::ZSTD_createCCtx()), decompressing_(::ZSTD_createDCtx()) {
    AETERNA_CHECK(compressing_ != nullptr && decompressing_ != nullptr);
}

Codec Compressor::compress(Bytes plain, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + ::ZSTD_compressBound(plain.size()));
    const std::size_t packed = ::ZSTD_compressCCtx(compressing_.get(), out.data() + before, out.size() - before,
                                                   plain.data(), plain.size(), 1);
    if (::ZSTD_isError(packed) == 0 && packed < plain.size()) {
        out.resize(before + packed);
        return Codec::kZstd;
    }
    out.resize(before);
    out.append(plain.data(), plain.size());
    return Codec::kRaw;
}

Status Compressor::decompress(Bytes packed, std::span<char> plain) {
    const std::size_t got =
        ::ZSTD_decompressDCtx(decompressing_.get(), plain.data(), plain.size(), packed.data(), packed.size());
    if (::ZSTD_isError(got) != 0 || got != plain.size()) {
        return make_error(ErrorCode::kCorrupt, "an entry does not decompress to its length");
    }
    return {};
}

SealedEntry EntryCodec::seal(EntryType type, const Id& id, Bytes plain, std::uint64_t place, std::string& out) {
    AETERNA_CHECK(plain.size() <= kMaxEntryBytes);
    packed_.clear();
    SealedEntry entry{type, Codec::kRaw, static_cast<std::uint32_t>(plain.size()), 0, id};
    entry.codec = compressor_.compress(plain, packed_);
    entry.sealed_bytes = static_cast<std::uint32_t>(packed_.size() + kTagBytes);
    const std::size_t before = out.size();
    out.resize(before + entry.sealed_bytes);
    cipher_.seal(place, bytes_of(associated_data(entry)), bytes_of(packed_),
                 std::span(out).subspan(before, entry.sealed_bytes));
    return entry;
}

Status EntryCodec::open(const SealedEntry& entry, std::uint64_t place, Bytes sealed, std::string& plain) {
    if (entry.plain_bytes > kMaxEntryBytes || sealed.size() != entry.sealed_bytes || sealed.size() < kTagBytes) {
        return make_error(ErrorCode::kCorrupt, "an entry has an impossible length");
    }
    const std::string associated = associated_data(entry);
    if (entry.codec == Codec::kRaw) {
        if (sealed.size() - kTagBytes != entry.plain_bytes) {
            return make_error(ErrorCode::kCorrupt, "an entry has an impossible length");
        }
        plain.resize(entry.plain_bytes);
        return cipher_.open(place, bytes_of(associated), sealed, plain);
    }
    packed_.resize(sealed.size() - kTagBytes);
    AETERNA_TRY(cipher_.open(place, bytes_of(associated), sealed, packed_));
    plain.resize(entry.plain_bytes);
    return compressor_.decompress(bytes_of(packed_), plain);
}

}  // namespace aeterna::repository
