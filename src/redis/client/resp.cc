// The RESP codec. The parser keeps a stack of open lists, so that a reply that arrives in small pieces is read once.
#include "redis/client/resp.h"

#include <fmt/core.h>

#include <charconv>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

Error protocol_error(std::string what) {
    return make_error(ErrorCode::kProtocol, "not a valid RESP reply: " + std::move(what),
                      "Check that the address belongs to a Redis or Sentinel server.");
}

std::optional<std::int64_t> parse_int(std::string_view text) {
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

Reply text_reply(Reply::Kind kind, std::string_view text) {
    Reply reply;
    reply.kind = kind;
    reply.text = text;
    return reply;
}

// Scalars that fit on one line; nothing when the type is not one of them or the value is malformed.
std::optional<Reply> parse_scalar(char type, std::string_view rest) {
    Reply reply;
    switch (type) {
        case '+': return text_reply(Reply::Kind::kText, rest);
        case '-': return text_reply(Reply::Kind::kError, rest);
        case '(': return text_reply(Reply::Kind::kText, rest);
        case ':': {
            const auto value = parse_int(rest);
            if (!value) return std::nullopt;
            reply.kind = Reply::Kind::kInteger;
            reply.integer = *value;
            return reply;
        }
        case ',': {
            // "inf", "-inf" and "nan" are legal too and become 0: nobody here asks for them.
            reply.kind = Reply::Kind::kDouble;
            reply.number = aeterna::to_number(rest).value_or(0);
            reply.text = rest;
            return reply;
        }
        case '#':
            if (rest != "t" && rest != "f") return std::nullopt;
            reply.kind = Reply::Kind::kBoolean;
            reply.integer = rest == "t" ? 1 : 0;
            return reply;
        case '_':
            if (!rest.empty()) return std::nullopt;
            return reply;
        default: return std::nullopt;
    }
}

}  // namespace

std::optional<std::int64_t> Reply::to_number() const {
    if (kind == Kind::kInteger || kind == Kind::kBoolean) return integer;
    if (kind == Kind::kText) return parse_int(text);
    return std::nullopt;
}

std::string encode_command(const Command& command) {
    std::string bytes = fmt::format("*{}\r\n", command.size());
    for (const std::string& part : command) {
        bytes += fmt::format("${}\r\n", part.size());
        bytes += part;
        bytes += "\r\n";
    }
    return bytes;
}

std::string Parser::take_rest() {
    std::string rest = buffer_.substr(position_);
    buffer_.clear();
    position_ = 0;
    return rest;
}

void Parser::feed(std::string_view bytes) {
    if (position_ == buffer_.size()) {
        buffer_.clear();
        position_ = 0;
    } else if (position_ > (1U << 16)) {
        buffer_.erase(0, position_);
        position_ = 0;
    }
    buffer_.append(bytes);
}

Result<std::optional<Reply>> Parser::next() {
    if (failure_) return *failure_;
    std::optional<Reply> done;
    while (!done) {
        auto progressed = step(done);
        if (!progressed) {
            failure_ = progressed.error();
            return *failure_;
        }
        if (!*progressed) return std::optional<Reply>();
    }
    elements_ = 0;
    consumed_ = 0;
    return done;
}

// One line or one bulk value; false when the buffer does not hold it yet.
Result<bool> Parser::step(std::optional<Reply>& done) {
    if (bulk_) return finish_bulk(done);
    const std::size_t end = buffer_.find("\r\n", position_);
    const std::size_t length = (end == std::string::npos ? buffer_.size() : end) - position_;
    if (length > limits_.line_bytes) return protocol_error("a line is too long");
    if (end == std::string::npos) return false;
    const std::string line = buffer_.substr(position_, length);
    position_ = end + 2;
    consumed_ += length + 2;
    if (consumed_ > limits_.total_bytes) return protocol_error("the reply is too large");
    AETERNA_TRY(begin_value(line, done));
    return true;
}

Status Parser::begin_value(std::string_view line, std::optional<Reply>& done) {
    if (line.empty()) return protocol_error("an empty line");
    if (++elements_ > limits_.elements) return protocol_error("the reply has too many elements");
    const char type = line.front();
    const std::string_view rest = line.substr(1);
    switch (type) {
        case '$': case '!': case '=': return begin_bulk(type, rest, done);
        case '*': case '~': case '>': case '%': case '|': return begin_list(type, rest, done);
        default: break;
    }
    auto scalar = parse_scalar(type, rest);
    if (!scalar) return protocol_error("'" + one_line(line, 40) + "'");
    complete(std::move(*scalar), done);
    return {};
}

Status Parser::begin_bulk(char type, std::string_view count, std::optional<Reply>& done) {
    const auto length = parse_int(count);
    if (!length || *length < -1 || (*length == -1 && type != '$'))
        return protocol_error("the length '" + one_line(count, 40) + "'");
    if (*length == -1) {
        complete(Reply{}, done);
        return {};
    }
    const auto bytes = static_cast<std::size_t>(*length);
    if (bytes > limits_.bulk_bytes || consumed_ + bytes > limits_.total_bytes)
        return protocol_error(fmt::format("a value of {} bytes is too large", bytes));
    bulk_ = bytes;
    bulk_type_ = type;
    return {};
}

Result<bool> Parser::finish_bulk(std::optional<Reply>& done) {
    if (buffer_.size() - position_ < *bulk_ + 2) return false;
    if (buffer_.compare(position_ + *bulk_, 2, "\r\n") != 0)
        return protocol_error("a value does not end where its length says");
    std::string_view value(buffer_.data() + position_, *bulk_);
    // A verbatim string begins with three letters of format and a colon.
    if (bulk_type_ == '=' && value.size() >= 4 && value[3] == ':') value.remove_prefix(4);
    Reply reply = text_reply(bulk_type_ == '!' ? Reply::Kind::kError : Reply::Kind::kText, value);
    position_ += *bulk_ + 2;
    consumed_ += *bulk_ + 2;
    bulk_.reset();
    complete(std::move(reply), done);
    return true;
}

Status Parser::begin_list(char type, std::string_view count, std::optional<Reply>& done) {
    const auto length = parse_int(count);
    if (!length || *length < -1 || (*length == -1 && type != '*'))
        return protocol_error("the count '" + one_line(count, 40) + "'");
    if (*length == -1) {
        complete(Reply{}, done);
        return {};
    }
    if (static_cast<std::uint64_t>(*length) > limits_.elements)
        return protocol_error("the reply has too many elements");
    if (open_.size() >= limits_.depth) return protocol_error("the reply is nested too deeply");
    const bool has_pairs = type == '%' || type == '|';
    Frame frame;
    frame.missing = static_cast<std::size_t>(*length) * (has_pairs ? 2 : 1);
    frame.is_attribute = type == '|';
    frame.reply.kind = type == '%'   ? Reply::Kind::kMap
                       : type == '>' ? Reply::Kind::kPush
                                     : Reply::Kind::kArray;
    if (frame.missing > 0)
        open_.push_back(std::move(frame));
    else if (!frame.is_attribute)
        complete(std::move(frame.reply), done);
    return {};
}

void Parser::complete(Reply reply, std::optional<Reply>& done) {
    while (!open_.empty()) {
        Frame& frame = open_.back();
        frame.reply.elements.push_back(std::move(reply));
        if (--frame.missing > 0) return;
        const bool is_attribute = frame.is_attribute;
        reply = std::move(frame.reply);
        open_.pop_back();
        // An attribute describes the value after it; that value takes its place.
        if (is_attribute) return;
    }
    done = std::move(reply);
}

}  // namespace aeterna::redis
