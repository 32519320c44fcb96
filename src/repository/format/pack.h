// Pack: tens of MiB of sealed entries with their own table of contents, so that an index can always be built anew.
//
//     header  "ADRPACK" 0x01, pack id (16 random bytes)
//     entries one after the other
//     table   sealed: for each entry type u8, codec u8, plain u32, sealed u32, id 32
//     footer  table: codec u8, zero u8 ×3, plain u32, sealed u32, entries u32; "ADRPEND" 0x01
//
// The pack's key is derived from the sealing key with the pack id as salt; an entry's nonce is its offset.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "repository/format/entry.h"
#include "repository/id.h"

namespace aeterna::repository {

inline constexpr std::size_t kPackHeaderBytes = 24;
inline constexpr std::size_t kPackFooterBytes = 24;
inline constexpr std::size_t kTableRowBytes = 42;
inline constexpr std::uint64_t kPackBytes = 32ULL << 20;  // a pack that has reached this is finished

// "packs/ab/ab12…".
[[nodiscard]] std::string pack_name(const PackId& id);
[[nodiscard]] SecretKey pack_key(const RepositoryKeys& keys, const PackId& id);

// Builds one pack into a buffer that its owner empties as he likes. One thread at a time.
class PackBuilder {
  public:
    PackBuilder(const PackId& id, const RepositoryKeys& keys, Compressor& compressor);

    // Appends one sealed entry to buffer().
    void add(EntryType type, const Id& id, Bytes plain);
    // Appends table and footer; nothing may be added then.
    void finish();

    // Bytes that were built and not yet taken away.
    [[nodiscard]] std::string& buffer() { return buffer_; }
    // Of everything built so far.
    [[nodiscard]] std::uint64_t bytes() const { return flushed_ + buffer_.size(); }
    // The owner has written buffer() away: empties it.
    void flushed() {
        flushed_ += buffer_.size();
        buffer_.clear();
    }
    [[nodiscard]] const PackId& id() const { return id_; }
    [[nodiscard]] const std::vector<SealedEntry>& entries() const { return entries_; }

  private:
    PackId id_;
    EntryCodec codec_;
    std::string buffer_;
    std::uint64_t flushed_ = 0;
    std::vector<SealedEntry> entries_;
};

// Rows of the table's form; the index uses them too.
void append_table(const std::vector<SealedEntry>& entries, std::string& out);
// kCorrupt for rows that cannot be.
[[nodiscard]] Result<std::vector<SealedEntry>> parse_table(Bytes rows);

// Where the table of a pack of `pack_bytes` stands, from its last kPackFooterBytes.
struct TablePlace {
    std::uint64_t offset = 0;
    SealedEntry entry;
    std::uint32_t count = 0;
};
[[nodiscard]] Result<TablePlace> parse_footer(Bytes footer, std::uint64_t pack_bytes, const PackId& id);
// kCorrupt, also when the entries do not fill the space before the table.
[[nodiscard]] Result<std::vector<SealedEntry>> open_table(const TablePlace& place, Bytes sealed, EntryCodec& codec);
// kCorrupt when these are not the first bytes of the pack `id`; kConfiguration when it is of a newer version.
Status check_header(Bytes header, const PackId& id);

}  // namespace aeterna::repository
