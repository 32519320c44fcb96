// WAL as a server would write it, for tests: records over pages with their headers.
#pragma once

#include <cstring>
#include <string>

#include "base/time.h"
#include "postgres/client/crc32c.h"

namespace aeterna::postgres::testing {

class WalStream {
  public:
    static constexpr std::uint64_t kPage = 8192, kSegment = 1 << 20, kSystem = 77;

    // `begin` is a page's first byte.
    explicit WalStream(std::uint64_t begin) : begin_(begin) {}

    [[nodiscard]] std::uint64_t begin() const { return begin_; }
    [[nodiscard]] std::uint64_t end() const { return begin_ + bytes_.size(); }
    // From `position` on.
    [[nodiscard]] std::string_view from(std::uint64_t position) const { return std::string_view(bytes_).substr(position - begin_); }
    std::string& bytes() { return bytes_; }

    // Where it begins.
    std::uint64_t record(unsigned manager, unsigned info, const std::string& data, std::uint32_t xid = 0) {
        std::string record(24, '\0');
        std::string body;
        if (data.size() < 256) {
            body += static_cast<char>(255);
            body += static_cast<char>(data.size());
        } else {
            body += static_cast<char>(254);
            body += bytes_of(static_cast<std::uint32_t>(data.size()));
        }
        body += data;
        put(record, 0, static_cast<std::uint32_t>(24 + body.size()));
        put(record, 4, xid);
        put(record, 8, previous_);
        record[16] = static_cast<char>(info);
        record[17] = static_cast<char>(manager);
        put(record, 20, crc32c(crc32c(0, body), record.substr(0, 20)));
        record += body;
        if (end() % kPage == 0) page(0, 0);
        previous_ = end();
        write(record);
        while (bytes_.size() % 8 != 0) bytes_ += '\0';
        return previous_;
    }
    std::uint64_t commit(WallTime time, std::uint32_t xid = 7) { return record(1, 0x80, timestamp(time) + "more", xid); }
    std::uint64_t abort(WallTime time, std::uint32_t xid = 7) { return record(1, 0x20, timestamp(time), xid); }
    std::uint64_t restore_point(WallTime time, std::string name) {
        name.resize(64);
        return record(0, 0x70, timestamp(time) + name);
    }
    std::uint64_t checkpoint(WallTime time) {
        std::string data(88, '\x55');
        put(data, 64, static_cast<std::int64_t>(to_unix_us(time) / 1'000'000));
        return record(0, 0x10, data);
    }
    std::uint64_t tablespace(const std::string& directory) { return record(5, 0x00, bytes_of(16'384U) + directory + '\0'); }
    std::uint64_t other(std::size_t bytes) { return record(10, 0x10, std::string(bytes, 'x')); }
    // The rest of the segment has pages without records.
    std::uint64_t switch_segment() {
        const std::uint64_t at = record(0, 0x40, "");
        while (end() % kSegment != 0) {
            if (end() % kPage == 0) page(0, 0);
            bytes_.append(kPage - end() % kPage, '\0');
        }
        return at;
    }
    // Only its first bytes, to the end of the `pages`th page, as a server that dies leaves it; the next one says that it is given up.
    void half_record(std::size_t bytes, unsigned pages = 1) {
        const std::uint64_t before = previous_, at = end();
        record(10, 0, std::string(bytes, 'h'));
        bytes_.resize((at / kPage + pages) * kPage - begin_);
        previous_ = before;
        page(0x0008, 0);
    }

  private:
    template <class Integer>
    static std::string bytes_of(Integer value) {
        std::string text(sizeof value, '\0');
        std::memcpy(text.data(), &value, sizeof value);
        return text;
    }
    template <class Integer>
    static void put(std::string& text, std::size_t at, Integer value) {
        std::memcpy(text.data() + at, &value, sizeof value);
    }
    static std::string timestamp(WallTime time) { return bytes_of(to_unix_us(time) - std::int64_t{946'684'800} * 1'000'000); }

    void page(unsigned flags, std::uint32_t left) {
        const bool is_long = end() % kSegment == 0;
        std::string header(is_long ? 40 : 24, '\0');
        put(header, 0, std::uint16_t{0xD110});
        put(header, 2, static_cast<std::uint16_t>(flags | (is_long ? 2 : 0)));
        put(header, 4, std::uint32_t{1});
        put(header, 8, end());
        put(header, 16, left);
        if (is_long) {
            put(header, 24, kSystem);
            put(header, 32, static_cast<std::uint32_t>(kSegment));
        }
        bytes_ += header;
    }
    void write(std::string_view record) {
        while (!record.empty()) {
            const std::size_t room = kPage - end() % kPage;
            bytes_ += record.substr(0, room);
            record.remove_prefix(std::min(record.size(), room));
            if (!record.empty()) page(1, static_cast<std::uint32_t>(record.size()));
        }
    }

    std::uint64_t begin_, previous_ = 0;
    std::string bytes_;
};

}  // namespace aeterna::postgres::testing
