// The redis section of the stack file (docs/stack-file.md), read strictly. Values only; secrets are read once.
//
// Nodes are matched with what Sentinel reports by address: the addresses here must be the ones that the servers
// announce (`config check` compares them).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/stack.h"
#include "env/env.h"

namespace aeterna::redis {

struct RedisNode {
    std::string name;  // "redis-1", "sentinel-1"
    env::Endpoint address;
    std::string host;  // of the stack file's hosts; empty when none names it
    std::string site;
    std::string config_file;  // of a data node, on its host; empty when the stack file does not name it
};

struct RedisSettings {
    std::string master_name;
    std::string user;  // ACL user; empty = the default user
    Secret password;
    std::string sentinel_user;
    Secret sentinel_password;
    std::vector<RedisNode> nodes;
    std::vector<RedisNode> sentinels;
    config::Objectives objectives;
    config::Assist assist = config::Assist::kOff;

    // nullptr when there is none.
    [[nodiscard]] const RedisNode* find_node(const std::string& name) const;
    [[nodiscard]] const RedisNode* node_at(const env::Endpoint& address) const;
    // The node's name, or "host:port" of an address that the stack file does not know.
    [[nodiscard]] std::string name_of(const env::Endpoint& address) const;
    // How many Sentinels are more than half of the configured ones.
    [[nodiscard]] std::size_t majority() const { return sentinels.size() / 2 + 1; }
};

using SettingsPointer = std::shared_ptr<const RedisSettings>;

// kConfiguration with file and line. Reads password files, nothing else.
[[nodiscard]] Result<SettingsPointer> load_settings(const config::Stack& stack,
                                                    const config::StoreSection& section,
                                                    env::Files& files);

}  // namespace aeterna::redis
