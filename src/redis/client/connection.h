// Connection: one authenticated session with a Redis server or a Sentinel, with deadlines.
//
// Errors are told apart because detectors and writers live on it: what the dialer says (refused, lost, silent), and
// the server's first error word (code_of_error_word). An error after a command was sent, without its reply, has
// effect kUnknown; an error reply has effect kNone: Redis refuses before it executes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/env.h"
#include "redis/client/resp.h"
#include "redis/settings.h"

namespace aeterna::redis {

struct Target {
    std::string name;  // for messages
    env::Endpoint address;
    std::string user;
    Secret password;
};
[[nodiscard]] Target node_target(const RedisSettings& settings, const RedisNode& node);
[[nodiscard]] Target sentinel_target(const RedisSettings& settings, const RedisNode& node);

// The code for an error reply by its first word: NOAUTH, READONLY, LOADING … kServer for others.
[[nodiscard]] ErrorCode code_of_error_word(std::string_view error_text);
// An error reply as an Error that names the server.
[[nodiscard]] Error error_of_reply(const Reply& reply, const std::string& server);

// One thread at a time. Closed by the destructor.
class Connection {
  public:
    // Connects and authenticates. An AUTH that is refused gives kAuthentication.
    [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const Target& target, const env::Env& env,
                                                                  const env::Context& context) {
        return open(target, env, context, context);
    }
    // With a time of its own for the first part.
    [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const Target& target, const env::Env& env,
                                                                  const env::Context& dialing,
                                                                  const env::Context& context);
    // One command; an error reply becomes an Error.
    [[nodiscard]] Result<Reply> call(const Command& command, const env::Context& context);
    // Several commands in one write; error replies stay replies. An Error means that the connection failed.
    [[nodiscard]] Result<std::vector<Reply>> pipeline(const std::vector<Command>& commands,
                                                      const env::Context& context);
    // For subscriptions: writes a command without waiting for its reply.
    Status send(const Command& command, const env::Context& context);
    // For subscriptions: the next reply or message, whatever it is. A kTimeout here leaves the connection usable.
    [[nodiscard]] Result<Reply> receive(const env::Context& context);
    // The next `count` bytes as they are, after a reply: the replication stream. An Error leaves the connection unusable.
    [[nodiscard]] Result<std::string> receive_bytes(std::size_t count, const env::Context& context);
    // False after a lost connection, a time-out within a command, or nonsense from the peer.
    [[nodiscard]] bool is_usable() const { return usable_; }

  private:
    Connection(std::string name, std::unique_ptr<env::Stream> stream)
        : name_(std::move(name)), stream_(std::move(stream)) {}
    [[nodiscard]] Status authenticate(const Target& target, const env::Context& context);
    [[nodiscard]] Error failed(Error error, bool was_sent);

    std::string name_;
    std::unique_ptr<env::Stream> stream_;
    Parser parser_;
    bool usable_ = true;
};

}  // namespace aeterna::redis
