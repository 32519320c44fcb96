// WAL segment files: names, positions and the first page's header (PostgreSQL 15, src/include/access/xlog_internal.h:
// XLogFileName, XLogLongPageHeaderData). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

// Of a segment's first 40 bytes.
struct WalSegmentHeader {
    std::uint32_t timeline = 0;
    std::uint64_t page_lsn = 0;        // a recycled file that was not written yet has its old one here
    std::uint64_t system_identifier = 0;
    std::uint32_t segment_bytes = 0;
};
// Nothing when the bytes are no long page header of a little-endian server.
[[nodiscard]] std::optional<WalSegmentHeader> parse_wal_segment_header(std::string_view bytes);

// "0/3000148".
[[nodiscard]] std::string format_lsn(std::uint64_t lsn);
// Both halves in one to eight hex digits of any case; nothing for anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_lsn(std::string_view text);

}  // namespace aeterna::postgres
