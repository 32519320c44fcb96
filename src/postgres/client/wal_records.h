// The records in a stream of WAL: where each one begins and ends, and when transactions ended. Pure.
//
// Layout: PostgreSQL 15, src/include/access/xlog_internal.h (pages), xlogrecord.h, xact.h, catalog/pg_control.h, commands/tablespace.h
// (little-endian, pages of 8 KiB). A record begins at a multiple of 8, runs over page headers, and names the one before
// it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "postgres/client/wal.h"

namespace aeterna::postgres {

struct WalRecord {
    enum class Kind { kOther, kCommit, kAbort, kRestorePoint, kCheckpoint, kTablespace };
    std::uint64_t begin = 0;
    std::uint64_t end =
        0;  // of its bytes: the next one begins there, or behind a page's header, or in the next segment
    Kind kind = Kind::kOther;
    std::uint32_t xid = 0;   // that wrote it; of kCommit and kAbort: that ended, 0 for a prepared transaction's
    WallTime time{};  // of the server's clock; of what ends a transaction, a restore point, a checkpoint: when it began
    std::string name;  // of kRestorePoint; the directory of kTablespace, empty where it is longer than what is kept
    std::string_view bytes;  // its first ones, as many as the reader keeps; valid while `each` runs
};

class WalRecordReader {
  public:
    // `position` is where a record ended, or the first byte of a page: then with the first record that begins in it.
    // `kept` is how many bytes of a record are looked at.
    WalRecordReader(std::uint64_t position, std::uint64_t segment_bytes, std::size_t kept = 256)
        : segment_bytes_(segment_bytes),
          kept_(kept),
          position_(position),
          is_synchronised_(position % kWalPageBytes != 0) {}

    // The stream's next bytes. `each` gets every record whose last byte is among them, until it returns false; then, and
    // behind the last record of all, this gives false. kCorrupt where the bytes are no WAL that goes on from what was before, or
    // a record is not what its checksum says.
    [[nodiscard]] Result<bool> add(std::string_view bytes, const std::function<bool(const WalRecord&)>& each);
    // The byte that comes next.
    [[nodiscard]] std::uint64_t position() const { return position_; }

  private:
    [[nodiscard]] std::size_t header_bytes() const;
    Status begin_page();
    void take_sum(std::string_view bytes);
    [[nodiscard]] Result<WalRecord> finish_record();
    [[nodiscard]] Error misfit(std::string_view why) const;

    std::uint64_t segment_bytes_;
    std::size_t kept_;
    std::uint64_t position_;
    bool is_synchronised_;                   // a record's boundary was seen
    std::uint64_t resume_at_ = 0;            // nothing before it
    std::string header_;                     // of the page that begins
    std::uint64_t skip_ = 0;                 // what is left of a record whose beginning was not seen, or padding
    std::uint64_t begin_ = 0;                // of the record that is read
    std::uint64_t length_ = 0;               // of it; 0 until its first four bytes are there
    std::uint64_t taken_ = 0;                // bytes of it so far
    std::uint32_t crc_ = 0;                  // of them, without the header
    std::string record_;                     // its first bytes
    std::optional<std::uint64_t> previous_;  // where the record before it begins
};

}  // namespace aeterna::postgres
