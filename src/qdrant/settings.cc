#include "qdrant/settings.h"

namespace aeterna::qdrant {
namespace {

NodeSettings read_node(config::Section& entry, const config::Stack& stack) {
    NodeSettings node;
    node.name = entry.required_node("name");
    node.url = entry.required_url("url");
    entry.claim("name", "node name", node.name);
    entry.claim("url", "URL", node.url);
    if (const config::Host* host = stack.host_of(node.name)) {
        node.host = host->name;
        node.site = host->site;
    }
    return node;
}

}  // namespace

std::string own_metric(const Settings& settings) {
    return "aeterna_qdrant_cluster_status{stack=\"" + settings.stack_name + "\"}";
}

std::string host_of_url(std::string_view url) {
    if (url.starts_with("http://")) {
        url.remove_prefix(7);
    } else if (url.starts_with("https://")) {
        url.remove_prefix(8);
    } else {
        return "";
    }
    url = url.substr(0, url.find('/'));
    const bool is_v6 = url.starts_with('[');
    return std::string(is_v6 ? url.substr(0, url.find(']') + 1) : url.substr(0, url.find(':')));
}

Result<SettingsPointer> load_settings(const config::Stack& stack,
                                      const config::StoreSection& section, env::Files& files) {
    config::Section source = section.settings;
    auto settings = std::make_shared<Settings>();
    settings->stack_name = stack.name;
    settings->objectives = section.objectives;
    settings->prometheus_url = stack.prometheus_url;
    settings->api_key = source.secret("api_key", files);
    settings->tls.ca_file = source.path("ca_file", "");
    settings->tls.certificate_file = source.path("certificate_file", "");
    settings->tls.key_file = source.path("key_file", "");
    for (config::Section& entry : source.list("nodes")) settings->nodes.push_back(read_node(entry, stack));
    if (settings->nodes.empty()) {
        source.fail("nodes", "qdrant has no 'nodes'", "List every Qdrant server with its name and url.");
    }
    return SettingsPointer(std::move(settings));
}

}  // namespace aeterna::qdrant
