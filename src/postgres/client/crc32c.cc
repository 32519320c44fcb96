#include "postgres/client/crc32c.h"

#include <array>
#include <cstring>

namespace aeterna::postgres {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli's, bits reversed

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        table[i] = crc;
    }
    return table;
}();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::uint32_t crc, std::string_view bytes) {
    std::uint64_t state = ~crc;
    while (bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        state = __builtin_ia32_crc32di(state, word);
        bytes.remove_prefix(8);
    }
    auto rest = static_cast<std::uint32_t>(state);
    for (const char c : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<unsigned char>(c));
    return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c_plainly(std::uint32_t crc, std::string_view bytes) {
    std::uint32_t state = ~crc;
    for (const char c : bytes) state = kCrcTable[(state ^ static_cast<unsigned char>(c)) & 0xff] ^ (state >> 8);
    return ~state;
}

std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return crc32c_by_instruction(crc, bytes);
#endif
    return crc32c_plainly(crc, bytes);
}

}  // namespace aeterna::postgres
