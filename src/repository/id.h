// Id: the name of a chunk, a map or a manifest blob: a keyed hash of its content. Whoever lacks the key cannot tell
// from an id whether the repository holds a file that he knows.
#pragma once

#include <fmt/format.h>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/strings.h"

namespace aeterna::repository {

using Bytes = std::span<const char>;

[[nodiscard]] inline Bytes bytes_of(std::string_view text) { return {text.data(), text.size()}; }

struct Id {
    std::array<char, 32> bytes{};

    [[nodiscard]] std::string_view view() const { return {bytes.data(), bytes.size()}; }
    [[nodiscard]] std::string to_hex() const { return aeterna::to_hex(view()); }
    // Order and equality are those of the bytes as unsigned numbers.
    friend bool operator==(const Id& a, const Id& b) { return a.bytes == b.bytes; }
    friend bool operator<(const Id& a, const Id& b) {
        return std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) < 0;
    }
};

// Ids are hashes already: their first bytes are as good as any hash of them.
struct IdHash {
    std::size_t operator()(const Id& id) const {
        std::size_t value = 0;
        std::memcpy(&value, id.bytes.data(), sizeof value);
        return value;
    }
};

// The random name of a pack; its keys are derived from it.
struct PackId {
    std::array<char, 16> bytes{};

    [[nodiscard]] std::string_view view() const { return {bytes.data(), bytes.size()}; }
    [[nodiscard]] std::string to_hex() const { return aeterna::to_hex(view()); }
    friend bool operator==(const PackId&, const PackId&) = default;
    friend bool operator<(const PackId& a, const PackId& b) {
        return std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) < 0;
    }
};

// 16 lower-case hex digits, as positions of logs are written.
[[nodiscard]] inline std::string hex64(std::uint64_t value) { return fmt::format("{:016x}", value); }
// Nothing for other text.
[[nodiscard]] inline std::optional<std::uint64_t> parse_hex64(std::string_view hex) {
    if (hex.size() != 16) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : hex) {
        const std::size_t digit = std::string_view("0123456789abcdef").find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = value << 4 | digit;
    }
    return value;
}

}  // namespace aeterna::repository
