#include "repository/format/entry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "repository/chunk/content_kind.h"
#include "repository/chunk/float_array.h"
#include "repository/chunk/page_hashes.h"
#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

// zstd.h calls the names experimental (ZSTD_c_literalCompressionMode, ZSTD_lcm_huffman); the library takes the numbers.
constexpr ZSTD_cParameter kLiteralMode = ZSTD_c_experimentalParam5;
constexpr int kAlwaysHuffman = 1;

// A buffer that is written over anyway is not shrunk: growing it again would fill it with zeros first.
void grow(std::string& buffer, std::size_t bytes) {
    if (buffer.size() < bytes) buffer.resize(bytes);
}

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
    if (type != EntryType::kPages) return keys.content(plain);
    std::vector<PageHash> pages;
    append_page_hashes(keys.page, plain, pages);
    return keys.group(bytes_of(std::span<const PageHash>(pages)));
}

Compressor::Compressor()
    : compressing_(::ZSTD_createCCtx()), compressing_planes_(::ZSTD_createCCtx()), decompressing_(::ZSTD_createDCtx()) {
    AETERNA_CHECK(compressing_ != nullptr && compressing_planes_ != nullptr && decompressing_ != nullptr);
    const auto set = [](ZSTD_CCtx& context, ZSTD_cParameter parameter, int value) {
        AETERNA_CHECK(::ZSTD_isError(::ZSTD_CCtx_setParameter(&context, parameter, value)) == 0);
    };
    // Level 1 with a window for a mebibyte, a larger table and matches of seven bytes. Where nothing matches it looks at every
    // fourth byte only; what that loses the larger table gives back. On rows of text a fifth smaller than level 1, and
    // faster.
    set(*compressing_, ZSTD_c_compressionLevel, 1);
    set(*compressing_, ZSTD_c_strategy, ZSTD_fast);
    set(*compressing_, ZSTD_c_windowLog, 20);
    set(*compressing_, ZSTD_c_hashLog, 16);
    set(*compressing_, ZSTD_c_minMatch, 7);
    set(*compressing_, ZSTD_c_targetLength, 3);
    set(*compressing_, kLiteralMode, kAlwaysHuffman);  // which a targetLength switches off by itself
    // Noise has no matches: hardly any are looked for. What a plane of exponents gives, Huffman's code gets.
    set(*compressing_planes_, ZSTD_c_compressionLevel, 1);
    set(*compressing_planes_, ZSTD_c_strategy, ZSTD_fast);
    set(*compressing_planes_, ZSTD_c_minMatch, 7);
    set(*compressing_planes_, ZSTD_c_targetLength, 4096);
    set(*compressing_planes_, kLiteralMode, kAlwaysHuffman);
}

Compressor::Packed Compressor::compress(Bytes plain) {
    const bool has_planes = is_float_array(plain);
    Bytes input = plain;
    if (has_planes) {
        grow(planes_, plain.size());
        split_planes(plain, std::span(planes_).first(plain.size()));
        input = bytes_of(planes_).first(plain.size());
    }
    grow(packed_, ::ZSTD_compressBound(input.size()));
    ZSTD_CCtx* context = has_planes ? compressing_planes_.get() : compressing_.get();
    const std::size_t bytes = ::ZSTD_compress2(context, packed_.data(), packed_.size(), input.data(), input.size());
    if (::ZSTD_isError(bytes) != 0 || bytes >= plain.size()) return {Codec::kRaw, plain};
    return {has_planes ? Codec::kZstdPlanes : Codec::kZstd, bytes_of(packed_).first(bytes)};
}

Status Compressor::decompress(Codec codec, Bytes packed, std::span<char> plain) {
    const bool has_planes = codec == Codec::kZstdPlanes;
    if (has_planes) grow(planes_, plain.size());
    const std::span<char> into = has_planes ? std::span(planes_).first(plain.size()) : plain;
    const std::size_t got =
        ::ZSTD_decompressDCtx(decompressing_.get(), into.data(), into.size(), packed.data(), packed.size());
    if (::ZSTD_isError(got) != 0 || got != plain.size()) {
        return make_error(ErrorCode::kCorrupt, "an entry does not decompress to its length");
    }
    if (has_planes) join_planes(into, plain);
    return {};
}

SealedEntry EntryCodec::seal(EntryType type, const Id& id, Bytes plain, std::uint64_t place, std::string& out) {
    AETERNA_CHECK(plain.size() <= kMaxEntryBytes);
    const Compressor::Packed packed = compressor_.compress(plain);
    SealedEntry entry{type, packed.codec, static_cast<std::uint32_t>(plain.size()), 0, id};
    entry.sealed_bytes = static_cast<std::uint32_t>(packed.bytes.size() + kTagBytes);
    const std::size_t before = out.size();
    out.resize(before + entry.sealed_bytes);
    cipher_.seal(place, bytes_of(associated_data(entry)), packed.bytes,
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
    grow(packed_, sealed.size() - kTagBytes);
    const std::span<char> packed = std::span(packed_).first(sealed.size() - kTagBytes);
    AETERNA_TRY(cipher_.open(place, bytes_of(associated), sealed, packed));
    plain.resize(entry.plain_bytes);
    return compressor_.decompress(entry.codec, packed, plain);
}

}  // namespace aeterna::repository
