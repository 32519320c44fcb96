// Entry: the unit that is compressed and encrypted. zstd, fast; arrays of float32 dealt out to planes before; as it is
// where that is not smaller. Then AES-256-GCM. The associated data names type, codec, length and id, the nonce is the
// entry's place in its pack: an entry that was moved, swapped, relabelled or cut does not open.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "repository/crypto/cipher.h"
#include "repository/crypto/keys.h"
#include "repository/id.h"

namespace aeterna::repository {

// The numbers are part of the format.
enum class EntryType : std::uint8_t {
    kData = 1,          // content of files, named by its hash
    kPages = 2,         // a group of pages, named by the hash of its page hashes
    kMap = 3,           // where a segment's bytes are
    kManifest = 4,      // file records
    kManifestRoot = 5,  // the list of a backup's manifest blobs
    // Not in packs' tables:
    kPackTable = 32,
    kIndexSegment = 33,
    kBackup = 34,
    kLogPiece = 35,
};

enum class Codec : std::uint8_t {
    kRaw = 0,
    kZstd = 1,
    kZstdPlanes = 2,  // of the bytes dealt out to four planes (chunk/float_array.h)
};
// Another number is damage, or of a later version.
[[nodiscard]] constexpr bool is_codec(std::uint8_t number) {
    return number <= static_cast<std::uint8_t>(Codec::kZstdPlanes);
}

inline constexpr std::size_t kMaxEntryBytes = 8 << 20;  // plain; larger ones are refused before anything is allocated

struct SealedEntry {
    EntryType type = EntryType::kData;
    Codec codec = Codec::kRaw;
    std::uint32_t plain_bytes = 0;
    std::uint32_t sealed_bytes = 0;
    Id id;
};

// The id that `type` demands of `plain`.
[[nodiscard]] Id name_of(EntryType type, Bytes plain, const RepositoryKeys& keys);

// Compression contexts, kept between entries. One thread at a time.
class Compressor {
  public:
    Compressor();
    struct Packed {
        Codec codec = Codec::kRaw;
        Bytes bytes;  // of kRaw the plain ones themselves
    };
    // The shorter form, valid until the next call.
    [[nodiscard]] Packed compress(Bytes plain);
    // Fills `plain` exactly; kCorrupt otherwise. Not for kRaw.
    Status decompress(Codec codec, Bytes packed, std::span<char> plain);

  private:
    struct Free {
        void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
        void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
    };

    std::unique_ptr<ZSTD_CCtx, Free> compressing_, compressing_planes_;
    std::unique_ptr<ZSTD_DCtx, Free> decompressing_;
    std::string planes_, packed_;  // kept between calls for their memory; they only grow
};

// Seals entries under one key and opens them. One thread at a time.
class EntryCodec {
  public:
    EntryCodec(Compressor& compressor, const SecretKey& key) : compressor_(compressor), cipher_(key) {}

    // Appends the sealed bytes to `out`. plain.size() ≤ kMaxEntryBytes.
    SealedEntry seal(EntryType type, const Id& id, Bytes plain, std::uint64_t place, std::string& out);
    // Replaces `plain`. kCorrupt when anything differs.
    Status open(const SealedEntry& entry, std::uint64_t place, Bytes sealed, std::string& plain);

  private:
    Compressor& compressor_;
    Cipher cipher_;
    std::string packed_;  // kept between calls for its memory
};

}  // namespace aeterna::repository
