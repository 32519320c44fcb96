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
// The instruction takes three cycles and one can begin in each, so three lanes are summed at once. What came before a
// lane is moved over its bytes: a sum is linear, so what zeros make of each of its bits says what they make of it.
constexpr std::size_t kLaneBytes = 1024;

class OverZeros {
  public:
    explicit OverZeros(std::size_t bytes) {
        for (std::size_t place = 0; place < 4; ++place) {
            for (std::uint32_t value = 0; value < 256; ++value) table_[place][value] = moved(value << (8 * place), bytes);
        }
    }
    [[nodiscard]] std::uint32_t operator()(std::uint32_t state) const {
        return table_[0][state & 0xff] ^ table_[1][state >> 8 & 0xff] ^ table_[2][state >> 16 & 0xff] ^ table_[3][state >> 24];
    }

  private:
    static std::uint32_t moved(std::uint32_t state, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) state = kCrcTable[state & 0xff] ^ (state >> 8);
        return state;
    }
    std::array<std::array<std::uint32_t, 256>, 4> table_{};
};

__attribute__((target("sse4.2"))) std::uint64_t add_word(std::uint64_t state, const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return __builtin_ia32_crc32di(state, word);
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::uint32_t crc, std::string_view bytes) {
    static const OverZeros over_one(kLaneBytes), over_two(2 * kLaneBytes);
    std::uint64_t state = ~crc;
    for (; bytes.size() >= 3 * kLaneBytes; bytes.remove_prefix(3 * kLaneBytes)) {
        std::uint64_t second = 0, third = 0;
        for (const char* at = bytes.data(); at != bytes.data() + kLaneBytes; at += sizeof state) {
            state = add_word(state, at);
            second = add_word(second, at + kLaneBytes);
            third = add_word(third, at + 2 * kLaneBytes);
        }
        state = over_two(static_cast<std::uint32_t>(state)) ^ over_one(static_cast<std::uint32_t>(second)) ^ third;
    }
    for (; bytes.size() >= sizeof state; bytes.remove_prefix(sizeof state)) state = add_word(state, bytes.data());
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
