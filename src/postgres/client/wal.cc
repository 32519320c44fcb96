#include "postgres/client/wal.h"

#include <fmt/core.h>

namespace aeterna::postgres {

namespace {

constexpr std::size_t kNameLength = 24;
constexpr std::uint16_t kLongHeader = 0x0002;  // XLP_LONG_HEADER

std::optional<std::uint64_t> hex(std::string_view text) {
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c >= '0' && c <= '9') value = value * 16 + static_cast<std::uint64_t>(c - '0');
        else if (c >= 'A' && c <= 'F') value = value * 16 + static_cast<std::uint64_t>(c - 'A' + 10);
        else return std::nullopt;
    }
    return value;
}

template <class Integer>
Integer little_endian(std::string_view bytes, std::size_t at) {
    Integer value = 0;
    for (std::size_t i = sizeof(Integer); i > 0; --i) {
        value = static_cast<Integer>(value << 8) | static_cast<unsigned char>(bytes[at + i - 1]);
    }
    return value;
}

}  // namespace

std::optional<WalSegmentName> parse_wal_segment_name(std::string_view name) {
    if (name.size() != kNameLength) return std::nullopt;
    const auto timeline = hex(name.substr(0, 8)), high = hex(name.substr(8, 8)), low = hex(name.substr(16, 8));
    if (!timeline || !high || !low || *timeline == 0) return std::nullopt;
    return WalSegmentName{static_cast<std::uint32_t>(*timeline), *high, *low};
}

std::optional<WalSegmentHeader> parse_wal_segment_header(std::string_view bytes) {
    if (bytes.size() < 40) return std::nullopt;
    // xlp_magic changes with each major version, but its high byte has been 0xD0 or 0xD1 since 9.0.
    const unsigned magic = static_cast<unsigned char>(bytes[1]);
    if (magic != 0xD0 && magic != 0xD1) return std::nullopt;
    if ((little_endian<std::uint16_t>(bytes, 2) & kLongHeader) == 0) return std::nullopt;
    WalSegmentHeader header;
    header.timeline = little_endian<std::uint32_t>(bytes, 4);
    header.page_lsn = little_endian<std::uint64_t>(bytes, 8);
    header.system_identifier = little_endian<std::uint64_t>(bytes, 24);
    header.segment_bytes = little_endian<std::uint32_t>(bytes, 32);
    const bool is_power_of_two = (header.segment_bytes & (header.segment_bytes - 1)) == 0;
    if (header.segment_bytes < (1U << 20) || header.segment_bytes > (1U << 30) || !is_power_of_two) return std::nullopt;
    return header;
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

}  // namespace aeterna::postgres
