// Cluster: asking and ordering the servers of this store by name, over connections that are kept between calls.
// For steps, drills and checks (one thread at a time); the probes keep their own connections. Each single call is
// bounded by kCallTimeout as well as by its context, so that one silent server cannot eat the whole deadline.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "env/env.h"
#include "redis/client/connection.h"
#include "redis/client/info.h"
#include "redis/client/sentinel.h"

namespace aeterna::redis {

inline constexpr Duration kCallTimeout = std::chrono::milliseconds(700);

// What every configured Sentinel said; `opinion` is missing where it gave none, `error` says why.
struct SentinelAnswer {
    std::string sentinel;
    std::optional<SentinelOpinion> opinion;
    std::optional<Error> error;
};

// What every configured node said to ROLE.
struct NodeAnswer {
    const RedisNode* node = nullptr;
    std::optional<Role> role;
    std::optional<Error> error;
};

class Cluster {
  public:
    Cluster(SettingsPointer settings, const env::Env& env) : settings_(std::move(settings)), env_(env) {}

    [[nodiscard]] const RedisSettings& settings() const { return *settings_; }
    [[nodiscard]] const SettingsPointer& settings_pointer() const { return settings_; }
    [[nodiscard]] const env::Env& env() const { return env_; }

    // A read-only command: repeated once on a new connection when the kept one turns out to be dead (Sentinel closes
    // the clients of a node that it reconfigures).
    [[nodiscard]] Result<Reply> ask(const RedisNode& node, const Command& command, const env::Context& context);
    // A command that changes something: sent at most once, on a connection that was just seen alive.
    [[nodiscard]] Result<Reply> order(const RedisNode& node, const Command& command,
                                      const env::Context& context);
    [[nodiscard]] Result<Role> role(const RedisNode& node, const env::Context& context);
    [[nodiscard]] Result<NodeInfo> info(const RedisNode& node, const env::Context& context);
    [[nodiscard]] std::vector<NodeAnswer> roles(const env::Context& context);
    [[nodiscard]] Result<SentinelOpinion> opinion(const RedisNode& sentinel, const env::Context& context);
    [[nodiscard]] std::vector<SentinelAnswer> opinions(const env::Context& context);
    // The address that more than half of the configured Sentinels name now; kUnavailable without such a majority.
    [[nodiscard]] Result<env::Endpoint> majority_master(const env::Context& context);
    // That this majority names `node`: clients that ask the Sentinels are sent there. False without a majority.
    [[nodiscard]] bool is_named_by_majority(const RedisNode& node, const env::Context& context);
    // The same as a node of the stack file; kConfiguration when it is none.
    [[nodiscard]] Result<const RedisNode*> majority_master_node(const env::Context& context);

  private:
    [[nodiscard]] Result<std::vector<Reply>> converse(const RedisNode& node,
                                                      const std::vector<Command>& commands,
                                                      const env::Context& context);
    [[nodiscard]] Result<Connection*> connect(const RedisNode& node, const env::Context& context);
    [[nodiscard]] bool is_sentinel(const RedisNode& node) const;

    SettingsPointer settings_;
    const env::Env& env_;
    std::map<std::string, std::unique_ptr<Connection>> connections_;
};

// The majority among `answers`, of as many voters as there are answers (asked, not only answering).
[[nodiscard]] std::optional<env::Endpoint> majority_of(const std::vector<SentinelAnswer>& answers);

}  // namespace aeterna::redis
