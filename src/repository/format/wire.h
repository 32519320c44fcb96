// The repository's byte encoding: little-endian fixed integers, LEB128 varints, counted bytes. Reading never trusts
// the input: the first thing that does not fit makes the reader fail for good, and every later value is zero or empty.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "repository/id.h"

namespace aeterna::repository {

class WireWriter {
  public:
    explicit WireWriter(std::string& out) : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void u32(std::uint32_t value) { fixed(value, 4); }
    void u64(std::uint64_t value) { fixed(value, 8); }
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
        out_.push_back(static_cast<char>(value));
    }
    // Zigzag: small numbers of either sign are short.
    void signed_varint(std::int64_t value) {
        varint(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
    }
    void raw(std::string_view bytes) { out_.append(bytes); }
    void counted(std::string_view bytes) {
        varint(bytes.size());
        raw(bytes);
    }
    void id(const Id& value) { raw(value.view()); }

  private:
    void fixed(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
    }
    std::string& out_;
};

class WireReader {
  public:
    explicit WireReader(Bytes bytes) : rest_(bytes) {}

    // Everything so far fitted.
    [[nodiscard]] bool is_good() const { return good_; }
    // Everything fitted and nothing is left.
    [[nodiscard]] bool is_done() const { return good_ && rest_.empty(); }
    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
    void fail() {
        good_ = false;
        rest_ = {};
    }

    std::uint8_t u8() { return static_cast<std::uint8_t>(fixed(1)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(fixed(4)); }
    std::uint64_t u64() { return fixed(8); }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const std::uint64_t byte = fixed(1);
            if (shift == 63 && byte > 1) break;
            value |= (byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        fail();
        return 0;
    }
    std::int64_t signed_varint() {
        const std::uint64_t value = varint();
        return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
    }
    // A count of things that take at least `each` bytes: what cannot fit fails before anything is allocated.
    std::size_t count(std::size_t each) {
        const std::uint64_t value = varint();
        if (value > rest_.size() / (each == 0 ? 1 : each)) {
            fail();
            return 0;
        }
        return static_cast<std::size_t>(value);
    }
    std::string_view raw(std::size_t bytes) {
        if (bytes > rest_.size()) {
            fail();
            return {};
        }
        const std::string_view taken(rest_.data(), bytes);
        rest_ = rest_.subspan(bytes);
        return taken;
    }
    std::string_view counted() { return raw(count(1)); }
    template <class Name>
    Name name() {
        Name value;
        const std::string_view bytes = raw(value.bytes.size());
        if (!bytes.empty()) std::memcpy(value.bytes.data(), bytes.data(), bytes.size());
        return value;
    }
    Id id() { return name<Id>(); }

  private:
    std::uint64_t fixed(std::size_t bytes) {
        const std::string_view taken = raw(bytes);
        std::uint64_t value = 0;
        for (std::size_t i = taken.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(taken[i]);
        return value;
    }
    Bytes rest_;
    bool good_ = true;
};

}  // namespace aeterna::repository
