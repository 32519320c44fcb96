#include "postgres/capture/stream_message.h"

#include <fmt/format.h>

namespace aeterna::postgres {
namespace {

constexpr std::size_t kDataHeader = 1 + 8 + 8 + 8, kKeepaliveBytes = 1 + 8 + 8 + 1;
constexpr std::int64_t kPostgresEpochUs = 946'684'800'000'000;  // 2000-01-01 after 1970-01-01

std::uint64_t big_endian(std::string_view bytes, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    return value;
}

void append_big_endian(std::string& to, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

}  // namespace

Result<StreamMessage> parse_stream_message(std::string_view message) {
    if (message.size() >= kDataHeader && message[0] == 'w') {
        const XLogData data{big_endian(message, 1), big_endian(message, 9), message.substr(kDataHeader)};
        if (data.start + data.bytes.size() >= data.start) return StreamMessage(data);
    }
    if (message.size() == kKeepaliveBytes && message[0] == 'k') {
        return StreamMessage(Keepalive{big_endian(message, 1), message[17] != 0});
    }
    return make_error(ErrorCode::kProtocol,
                      fmt::format("a stream of WAL has a message of {} bytes that is none", message.size()));
}

std::string status_update(const StandbyStatus& status, WallTime now) {
    std::string message = "r";
    append_big_endian(message, status.written);
    append_big_endian(message, status.flushed);
    append_big_endian(message, 0);  // applied: nothing
    append_big_endian(message, static_cast<std::uint64_t>(to_unix_us(now) - kPostgresEpochUs));
    message += status.wants_reply ? '\1' : '\0';
    return message;
}

}  // namespace aeterna::postgres
