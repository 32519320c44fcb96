// Numbers out of the files of a little-endian server. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace aeterna::postgres {

template <class Integer>
[[nodiscard]] Integer little_endian(std::string_view bytes, std::size_t at) {
    Integer value = 0;
    for (std::size_t i = sizeof(Integer); i > 0; --i) {
        value = static_cast<Integer>(value << 8) | static_cast<unsigned char>(bytes[at + i - 1]);
    }
    return value;
}

template <class Integer>
void put_little_endian(std::string& bytes, std::size_t at, Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

}  // namespace aeterna::postgres
