#include "postgres/client/wal.h"

#include <fmt/core.h>

#include "base/strings.h"
#include "postgres/client/crc32c.h"
#include "postgres/client/little_endian.h"

namespace aeterna::postgres {

namespace {

constexpr std::size_t kNameLength = 24;
constexpr std::uint16_t kLongHeader = 0x0002;  // XLP_LONG_HEADER

// Of global/pg_control.
constexpr std::size_t kVersionAt = 8;
constexpr std::uint32_t kKnownVersion = 1300;

std::optional<std::uint64_t> hex(std::string_view text) {
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c >= '0' && c <= '9') value = value * 16 + static_cast<std::uint64_t>(c - '0');
        else if (c >= 'A' && c <= 'F') value = value * 16 + static_cast<std::uint64_t>(c - 'A' + 10);
        else return std::nullopt;
    }
    return value;
}

// What initdb allows (--wal-segsize).
bool is_segment_size(std::uint64_t bytes) {
    return bytes >= (1U << 20) && bytes <= (1U << 30) && (bytes & (bytes - 1)) == 0;
}

}  // namespace

std::optional<WalSegmentName> parse_wal_segment_name(std::string_view name) {
    if (name.size() != kNameLength) return std::nullopt;
    const auto timeline = hex(name.substr(0, 8)), high = hex(name.substr(8, 8)), low = hex(name.substr(16, 8));
    if (!timeline || !high || !low || *timeline == 0) return std::nullopt;
    return WalSegmentName{static_cast<std::uint32_t>(*timeline), *high, *low};
}

bool is_wal_magic(std::string_view bytes) {
    const unsigned high = static_cast<unsigned char>(bytes[1]);
    return high == 0xD0 || high == 0xD1;
}

std::optional<WalSegmentHeader> parse_wal_segment_header(std::string_view bytes) {
    if (bytes.size() < 40) return std::nullopt;
    if (!is_wal_magic(bytes)) return std::nullopt;
    if ((little_endian<std::uint16_t>(bytes, 2) & kLongHeader) == 0) return std::nullopt;
    WalSegmentHeader header;
    header.timeline = little_endian<std::uint32_t>(bytes, 4);
    header.page_lsn = little_endian<std::uint64_t>(bytes, 8);
    header.system_identifier = little_endian<std::uint64_t>(bytes, 24);
    header.segment_bytes = little_endian<std::uint32_t>(bytes, 32);
    if (!is_segment_size(header.segment_bytes)) return std::nullopt;
    return header;
}

Result<ControlFile> parse_control_file(std::string_view bytes) {
    constexpr std::size_t kCheckpointTimeAt = 104, kLimitsAt = 180, kSegmentBytesAt = 228;
    constexpr const char* kLimits[] = {"max_connections", "max_worker_processes", "max_wal_senders",
                                       "max_prepared_transactions", "max_locks_per_transaction"};
    const Error damaged = make_error(ErrorCode::kCorrupt, "global/pg_control is damaged");
    if (bytes.size() < kSegmentBytesAt + 4) return damaged;
    const auto system = little_endian<std::uint64_t>(bytes, 0);
    if (system == 0) return damaged;
    ControlFile control{std::to_string(system), 0, {}, {}};
    if (little_endian<std::uint32_t>(bytes, kVersionAt) != kKnownVersion) return control;
    control.segment_bytes = little_endian<std::uint32_t>(bytes, kSegmentBytesAt);
    control.checkpoint_at = from_unix_us(little_endian<std::int64_t>(bytes, kCheckpointTimeAt) * 1'000'000);
    for (std::size_t i = 0; i < std::size(kLimits); ++i) {
        control.limits.emplace_back(kLimits[i], little_endian<std::uint32_t>(bytes, kLimitsAt + 4 * i));
    }
    return is_segment_size(control.segment_bytes) ? Result<ControlFile>(control) : damaged;
}

Result<std::string> demand_replay_to(std::string control, std::uint64_t lsn, std::uint32_t timeline) {
    constexpr std::size_t kMinRecoveryAt = 136, kMinRecoveryTimelineAt = 144, kChecksumAt = 288;
    if (control.size() < kChecksumAt + 4) return make_error(ErrorCode::kCorrupt, "global/pg_control is damaged");
    if (little_endian<std::uint32_t>(control, kVersionAt) != kKnownVersion) return control;
    const auto checksum = [&] { return crc32c(0, std::string_view(control).substr(0, kChecksumAt)); };
    if (little_endian<std::uint32_t>(control, kChecksumAt) != checksum()) {
        return make_error(ErrorCode::kCorrupt, "global/pg_control is damaged: its checksum is wrong");
    }
    if (little_endian<std::uint64_t>(control, kMinRecoveryAt) >= lsn) return control;
    put_little_endian(control, kMinRecoveryAt, lsn);
    put_little_endian(control, kMinRecoveryTimelineAt, timeline);
    put_little_endian(control, kChecksumAt, checksum());
    return control;
}

std::optional<std::uint64_t> parse_lsn(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    std::string upper(text);
    for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    const std::string_view high = std::string_view(upper).substr(0, slash), low = std::string_view(upper).substr(slash + 1);
    const auto fits = [](std::string_view half) { return !half.empty() && half.size() <= 8; };
    if (!fits(high) || !fits(low)) return std::nullopt;
    const auto high_value = hex(high), low_value = hex(low);
    if (!high_value || !low_value) return std::nullopt;
    return (*high_value << 32) + *low_value;
}

std::string format_lsn(std::uint64_t lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xffffffffU); }

std::string wal_segment_name(std::uint32_t timeline, std::uint64_t lsn, std::uint64_t segment_bytes) {
    const std::uint64_t number = lsn / segment_bytes, per_high = (1ULL << 32) / segment_bytes;
    return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_high, number % per_high);
}

std::uint64_t parse_segment_bytes(std::string_view text) {
    if (text.size() < 3) return 0;
    const auto count = to_integer(text.substr(0, text.size() - 2));
    const std::string_view unit = text.substr(text.size() - 2);
    if (!count || *count < 1 || *count > 1024) return 0;
    if (unit != "GB" && unit != "MB") return 0;
    return static_cast<std::uint64_t>(*count) << (unit == "GB" ? 30 : 20);
}

}  // namespace aeterna::postgres
