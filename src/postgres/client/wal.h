// WAL segment files: names, positions and the first page's header (PostgreSQL 15, src/include/access/xlog_internal.h:
// XLogFileName, XLogLongPageHeaderData). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace aeterna::postgres {

struct WalSegmentName {
    std::uint32_t timeline = 0;
    std::uint64_t high = 0;  // the middle eight digits
    std::uint64_t low = 0;   // the last eight
    // Position of its first byte, for segments of `segment_bytes`.
    [[nodiscard]] std::uint64_t begin_lsn(std::uint64_t segment_bytes) const {
        return (high << 32) + low * segment_bytes;
    }
};
// "000000010000000000000003"; nothing for every other name (".partial", ".history", "archive_status").
[[nodiscard]] std::optional<WalSegmentName> parse_wal_segment_name(std::string_view name);

// XLOG_BLCKSZ, and what each page begins with; a segment's first page tells more.
inline constexpr std::uint64_t kWalPageBytes = 8192;
inline constexpr std::size_t kWalPageHeaderBytes = 24, kWalSegmentHeaderBytes = 40;

// Of a segment's first kWalSegmentHeaderBytes.
struct WalSegmentHeader {
    std::uint32_t timeline = 0;
    std::uint64_t page_lsn = 0;        // a recycled file that was not written yet has its old one here
    std::uint64_t system_identifier = 0;
    std::uint32_t segment_bytes = 0;
};
// Whether a page's header begins like that: xlp_magic changes with each major version, but its high byte has been 0xD0 or
// 0xD1 since 9.0. At least two bytes.
[[nodiscard]] bool is_wal_magic(std::string_view bytes);
// Nothing when the bytes are no long page header of a little-endian server.
[[nodiscard]] std::optional<WalSegmentHeader> parse_wal_segment_header(std::string_view bytes);

// "0/3000148".
[[nodiscard]] std::string format_lsn(std::uint64_t lsn);
// Both halves in one to eight hex digits of any case; nothing for anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text);
// "000000010000000000000003": the segment that has the byte at `lsn`.
[[nodiscard]] std::string wal_segment_name(std::uint32_t timeline, std::uint64_t lsn, std::uint64_t segment_bytes);
// "16MB", "1GB", as SHOW wal_segment_size has it; 0 for other text.
[[nodiscard]] std::uint64_t parse_segment_bytes(std::string_view text);

inline constexpr std::uint64_t kDefaultSegmentBytes = 16 << 20;  // initdb's

inline constexpr const char* kControlPath = "global/pg_control";  // in the data directory
inline constexpr std::size_t kMostControlBytes = 1 << 16;

struct ControlFile {
    std::string system_identifier;
    std::uint64_t segment_bytes = 0;  // 0: of a version whose layout is not known here
    // max_connections and the like, as the primary had them: a server that replays its WAL must not have less.
    std::vector<std::pair<std::string, std::uint32_t>> limits;
    WallTime checkpoint_at{};  // when the last checkpoint began, whole seconds of the server's clock
};
// Of the first bytes of global/pg_control, little-endian: the system identifier at 0, pg_control_version at 8, in version
// 1300 the time in checkPointCopy at 104, five limits from 180 on and xlog_seg_size at 228 (src/include/catalog/pg_control.h of PostgreSQL 13 to 17; compared
// with live ones).
[[nodiscard]] Result<ControlFile> parse_control_file(std::string_view bytes);
// With minRecoveryPoint (at 136, its timeline at 144) no earlier than `lsn`, and the CRC-32C (at 288, of all before it) anew: a server with
// a backup_label that a BASE_BACKUP wrote does not come up in archive recovery before it has replayed so far (InitWalRecovery() and
// FinishWalRecovery() of PostgreSQL 15: "WAL ends before end of online backup"). One that is started without a recovery.signal and
// finds the backup's own WAL beside it comes up at the backup's end all the same: restore leaves that WAL out. `timeline`: of the byte before
// `lsn`. kCorrupt where the checksum was wrong; another version's stays as it is.
[[nodiscard]] Result<std::string> demand_replay_to(std::string control, std::uint64_t lsn, std::uint32_t timeline);

}  // namespace aeterna::postgres
