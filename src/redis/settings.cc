// Reading and checking the redis section: names and addresses are unique in the document, there is one of each kind.
#include "redis/settings.h"

namespace aeterna::redis {
namespace {

std::vector<RedisNode> read_nodes(config::Section& section, const std::string& key,
                                  const config::Stack& stack) {
    std::vector<RedisNode> nodes;
    for (config::Section& entry : section.list(key)) {
        RedisNode node;
        node.name = entry.required_node("name");
        node.address = entry.required_endpoint("address");
        entry.claim("name", "node name", node.name);
        entry.claim("address", "address", node.address.port == 0 ? "" : node.address.to_string());
        if (key == "nodes") node.config_file = entry.path("config_file", "");
        if (const config::Host* host = stack.host_of(node.name)) {
            node.host = host->name;
            node.site = host->site;
        }
        nodes.push_back(std::move(node));
    }
    return nodes;
}

}  // namespace

const RedisNode* RedisSettings::find_node(const std::string& name) const {
    for (const RedisNode& node : nodes)
        if (node.name == name) return &node;
    return nullptr;
}

const RedisNode* RedisSettings::node_at(const env::Endpoint& address) const {
    for (const RedisNode& node : nodes)
        if (node.address == address) return &node;
    return nullptr;
}

std::string RedisSettings::name_of(const env::Endpoint& address) const {
    const RedisNode* node = node_at(address);
    return node ? node->name : address.to_string();
}

Result<SettingsPointer> load_settings(const config::Stack& stack, const config::StoreSection& section,
                                      env::Files& files) {
    config::Section source = section.settings;
    auto settings = std::make_shared<RedisSettings>();
    settings->objectives = section.objectives;
    settings->assist = section.assist;
    settings->master_name = source.required_text("master_name");
    settings->user = source.text("user", "");
    settings->password = source.secret("password", files);
    settings->sentinel_user = source.text("sentinel_user", "");
    settings->sentinel_password = source.secret("sentinel_password", files);
    settings->nodes = read_nodes(source, "nodes", stack);
    settings->sentinels = read_nodes(source, "sentinels", stack);
    if (settings->nodes.empty())
        source.fail("nodes", "redis has no 'nodes'", "List every Redis server with its name and address.");
    if (settings->sentinels.empty())
        source.fail("sentinels", "redis has no 'sentinels'", "List every Sentinel with its name and address.");
    return SettingsPointer(std::move(settings));
}

}  // namespace aeterna::redis
