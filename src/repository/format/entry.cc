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
    // Level 1 with a table for a mebibyte and matches of seven bytes: on rows of text a fifth smaller than level 1, and faster.
    set(*compressing_, ZSTD_c_compressionLevel, 1);
    set(*compressing_, ZSTD_c_strategy, ZSTD_fast);
    set(*compressing_, ZSTD_c_windowLog, 20);
    set(*compressing_, ZSTD_c_hashLog, 15);
    set(*compressing_, ZSTD_c_minMatch, 7);
    // Noise has no matches: hardly any are looked for. What a plane of exponents gives, Huffman's code gets.
    set(*compressing_planes_, ZSTD_c_compressionLevel, 1);
    set(*compressing_planes_, ZSTD_c_strategy, ZSTD_fast);
    set(*compressing_planes_, ZSTD_c_minMatch, 7);
    set(*compressing_planes_, ZSTD_c_targetLength, 4096);
    set(*compressing_planes_, kLiteralMode, kAlwaysHuffman);
}

// The length in `out` from `before` on; that of `bytes` where it is not shorter.
std::size_t Compressor::pack(ZSTD_CCtx& context, Bytes bytes, std::string& out, std::size_t before) {
    const std::size_t packed = ::ZSTD_compress2(&context, out.data() + before, out.size() - before, bytes.data(), bytes.size());
    return ::ZSTD_isError(packed) == 0 ? std::min(packed, bytes.size()) : bytes.size();
}

Codec Compressor::compress(Bytes plain, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + ::ZSTD_compressBound(plain.size()));
    Codec codec = Codec::kZstd;
    std::size_t packed = 0;
    if (is_float_array(plain)) {
        codec = Codec::kZstdPlanes;
        planes_.resize(plain.size());
        split_planes(plain, planes_);
        packed = pack(*compressing_planes_, bytes_of(planes_), out, before);
    } else {
        packed = pack(*compressing_, plain, out, before);
    }
    if (packed < plain.size()) {
        out.resize(before + packed);
        return codec;
    }
    out.resize(before);
    out.append(plain.data(), plain.size());
    return Codec::kRaw;
}

Status Compressor::decompress(Codec codec, Bytes packed, std::span<char> plain) {
    const bool has_planes = codec == Codec::kZstdPlanes;
    if (has_planes) planes_.resize(plain.size());
    const std::span<char> into = has_planes ? std::span<char>(planes_) : plain;
    const std::size_t got =
        ::ZSTD_decompressDCtx(decompressing_.get(), into.data(), into.size(), packed.data(), packed.size());
    if (::ZSTD_isError(got) != 0 || got != plain.size()) {
        return make_error(ErrorCode::kCorrupt, "an entry does not decompress to its length");
    }
    if (has_planes) join_planes(bytes_of(planes_), plain);
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
    return compressor_.decompress(entry.codec, bytes_of(packed_), plain);
}

}  // namespace aeterna::repository
