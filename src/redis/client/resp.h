// RESP: the wire format of Redis and Sentinel (https://redis.io/docs/latest/develop/reference/protocol-spec/).
//
// Requests are arrays of bulk strings. Replies are parsed incrementally from untrusted bytes: every length is
// bounded before it is believed, nothing is allocated from a claimed count, nesting is limited. RESP2 and the
// types of RESP3 are read; attributes are dropped. No I/O here; no replication stream.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aeterna::redis {

struct Reply {
    enum class Kind {
        kNull, kText, kError, kInteger, kDouble, kBoolean,
        kArray,  // also sets
        kMap,    // elements are key, value, key, value …
        kPush,   // out of band (RESP3)
    };
    Kind kind = Kind::kNull;
    std::string text;  // of kText and kError (without '-')
    std::int64_t integer = 0;
    double number = 0;
    std::vector<Reply> elements;

    [[nodiscard]] bool is_error() const { return kind == Kind::kError; }
    [[nodiscard]] bool is_text() const { return kind == Kind::kText; }
    [[nodiscard]] bool is_list() const { return kind == Kind::kArray || kind == Kind::kMap; }
    // An integer, or text that is one.
    [[nodiscard]] std::optional<std::int64_t> to_number() const;
};

using Command = std::vector<std::string>;

[[nodiscard]] std::string encode_command(const Command& command);

struct ParserLimits {
    std::size_t bulk_bytes = 64 << 20;
    std::size_t total_bytes = 128 << 20;  // of one reply
    std::size_t line_bytes = 64 << 10;
    std::size_t elements = 1 << 20;       // of one reply, nested ones included
    std::size_t depth = 16;
};

class Parser {
  public:
    explicit Parser(ParserLimits limits = {}) : limits_(limits) {}
    void feed(std::string_view bytes);
    // The next whole reply, nothing when more bytes are needed. kProtocol for what RESP does not allow or what
    // exceeds the limits; the parser is then unusable and repeats the error.
    [[nodiscard]] Result<std::optional<Reply>> next();
    // What was fed and not parsed yet, taken out: where a reply is followed by what is no RESP reply.
    [[nodiscard]] std::string take_rest();

  private:
    struct Frame {
        Reply reply;
        std::size_t missing = 0;
        bool is_attribute = false;
    };
    [[nodiscard]] Result<bool> step(std::optional<Reply>& done);
    [[nodiscard]] Status begin_value(std::string_view line, std::optional<Reply>& done);
    [[nodiscard]] Status begin_bulk(char type, std::string_view count, std::optional<Reply>& done);
    [[nodiscard]] Status begin_list(char type, std::string_view count, std::optional<Reply>& done);
    [[nodiscard]] Result<bool> finish_bulk(std::optional<Reply>& done);
    void complete(Reply reply, std::optional<Reply>& done);

    ParserLimits limits_;
    std::string buffer_;
    std::size_t position_ = 0;
    std::vector<Frame> open_;
    std::optional<std::size_t> bulk_;  // length of the bulk value that is awaited
    char bulk_type_ = '$';
    std::size_t elements_ = 0;
    std::size_t consumed_ = 0;  // bytes of the present reply
    std::optional<Error> failure_;
};

}  // namespace aeterna::redis
