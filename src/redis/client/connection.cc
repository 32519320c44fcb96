// Connecting, authenticating, sending commands and reading replies within a deadline.
#include "redis/client/connection.h"

#include <array>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

struct ErrorWord {
    std::string_view word;
    ErrorCode code;
    std::string_view hint;
};

// First words of error replies (redis 7.0 src/server.c, createSharedObjects; sentinel.c).
constexpr std::array kErrorWords = {
    ErrorWord{"NOAUTH", ErrorCode::kAuthentication, "Set password_file (and user) in the stack file."},
    ErrorWord{"WRONGPASS", ErrorCode::kAuthentication, "Check user and password_file in the stack file."},
    ErrorWord{"NOPERM", ErrorCode::kPermission, "Give the ACL user the rights that `config check` prints."},
    ErrorWord{"READONLY", ErrorCode::kReadOnly, ""},
    ErrorWord{"LOADING", ErrorCode::kUnavailable, "Wait until the server has loaded its data."},
    ErrorWord{"MASTERDOWN", ErrorCode::kUnavailable, ""},
    ErrorWord{"NOMASTERLINK", ErrorCode::kUnavailable, ""},
    ErrorWord{"BUSY", ErrorCode::kUnavailable, "A script blocks the server; see SCRIPT KILL."},
    ErrorWord{"NOREPLICAS", ErrorCode::kUnavailable, "min-replicas-to-write is not met."},
    ErrorWord{"MISCONF", ErrorCode::kUnavailable, "The last background save failed; see the server's log."},
    ErrorWord{"OOM", ErrorCode::kUnavailable, "maxmemory is reached."},
    ErrorWord{"INPROG", ErrorCode::kUnavailable, "A failover is in progress already."},
    ErrorWord{"NOGOODSLAVE", ErrorCode::kUnavailable, "Sentinel finds no replica that it may promote."},
    ErrorWord{"NOQUORUM", ErrorCode::kUnavailable, ""},
    ErrorWord{"TRYAGAIN", ErrorCode::kUnavailable, ""},
    ErrorWord{"CLUSTERDOWN", ErrorCode::kUnavailable, ""},
};

const ErrorWord* find_word(std::string_view text) {
    const std::string_view word = text.substr(0, text.find(' '));
    for (const ErrorWord& known : kErrorWords)
        if (known.word == word) return &known;
    return nullptr;
}

}  // namespace

Target node_target(const RedisSettings& settings, const RedisNode& node) {
    return {node.name, node.address, settings.user, settings.password};
}

Target sentinel_target(const RedisSettings& settings, const RedisNode& node) {
    return {node.name, node.address, settings.sentinel_user, settings.sentinel_password};
}

ErrorCode code_of_error_word(std::string_view error_text) {
    if (const ErrorWord* known = find_word(error_text)) return known->code;
    if (error_text.find("max number of clients") != std::string_view::npos) return ErrorCode::kUnavailable;
    if (error_text.find("No such master") != std::string_view::npos) return ErrorCode::kNotFound;
    return ErrorCode::kServer;
}

Error error_of_reply(const Reply& reply, const std::string& server) {
    const ErrorWord* known = find_word(reply.text);
    return make_error(code_of_error_word(reply.text), server + " answered '" + one_line(reply.text) + "'",
                      known ? std::string(known->hint) : std::string());
}

Result<std::unique_ptr<Connection>> Connection::open(const Target& target, const env::Env& env,
                                                     const env::Context& dialing, const env::Context& context) {
    auto stream = env.dialer.connect(target.address, dialing);
    if (!stream)
        return wrap_error(stream.error(), target.name);
    std::unique_ptr<Connection> connection(new Connection(target.name, std::move(*stream)));
    if (Status status = connection->authenticate(target, context); !status) {
        Error error = status.error();
        error.effect = Effect::kNone;  // nothing was asked for yet
        return error;
    }
    return connection;
}

Status Connection::authenticate(const Target& target, const env::Context& context) {
    if (target.password.empty()) return {};
    Command auth{"AUTH"};
    if (!target.user.empty()) auth.push_back(target.user);
    auth.push_back(target.password.reveal());
    AETERNA_ASSIGN(const auto replies, pipeline({auth, {"CLIENT", "SETNAME", "aeterna-dr"}}, context));
    // A user without the right to name itself is fine; one that cannot authenticate is not.
    if (!replies.front().is_error()) return {};
    Error error = error_of_reply(replies.front(), name_);
    if (error.code == ErrorCode::kServer) {
        error.code = ErrorCode::kAuthentication;
        error.hint = "The server has no password; remove password_file from the stack file or set one there.";
    }
    return error;
}

Error Connection::failed(Error error, bool was_sent) {
    usable_ = false;
    Error named = wrap_error(std::move(error), name_);
    named.effect = was_sent ? Effect::kUnknown : Effect::kNone;
    return named;
}

Result<Reply> Connection::call(const Command& command, const env::Context& context) {
    AETERNA_ASSIGN(auto replies, pipeline({command}, context));
    if (replies.front().is_error()) return error_of_reply(replies.front(), name_);
    return std::move(replies.front());
}

Result<std::vector<Reply>> Connection::pipeline(const std::vector<Command>& commands,
                                                const env::Context& context) {
    if (!usable_)
        return make_error(ErrorCode::kConnectionLost, name_ + ": the connection was lost before the command");
    std::string bytes;
    for (const Command& command : commands) bytes += encode_command(command);
    if (Status sent = stream_->write_all(bytes, context); !sent) return failed(sent.error(), true);
    std::vector<Reply> replies;
    while (replies.size() < commands.size()) {
        auto reply = receive(context);
        if (!reply) {
            usable_ = false;  // a reply that comes late would be taken for the next command's
            Error error = reply.error();
            error.effect = Effect::kUnknown;
            return error;
        }
        if (reply->kind != Reply::Kind::kPush) replies.push_back(std::move(*reply));
    }
    return replies;
}

Status Connection::send(const Command& command, const env::Context& context) {
    if (Status sent = stream_->write_all(encode_command(command), context); !sent)
        return failed(sent.error(), true);
    return {};
}

Result<Reply> Connection::receive(const env::Context& context) {
    std::array<char, 16384> buffer;
    while (true) {
        auto parsed = parser_.next();
        if (!parsed) return failed(parsed.error(), true);
        if (*parsed) return std::move(**parsed);
        auto count = stream_->read_some(buffer, context);
        if (!count) {
            const bool stays = count.error().code == ErrorCode::kTimeout;
            Error error = failed(count.error(), true);
            usable_ = stays;
            return error;
        }
        if (*count == 0)
            return failed(make_error(ErrorCode::kConnectionLost, "the server closed the connection"), true);
        parser_.feed({buffer.data(), *count});
    }
}

Result<std::string> Connection::receive_bytes(std::size_t count, const env::Context& context) {
    std::array<char, 16384> buffer;
    std::string bytes = parser_.take_rest();
    while (bytes.size() < count) {
        auto got = stream_->read_some(buffer, context);
        if (!got) return failed(got.error(), true);
        if (*got == 0)
            return failed(make_error(ErrorCode::kConnectionLost, "the server closed the connection"), true);
        bytes.append(buffer.data(), *got);
    }
    usable_ = false;  // nobody parses what may follow
    bytes.resize(count);
    return bytes;
}

}  // namespace aeterna::redis
