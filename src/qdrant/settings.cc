#include "qdrant/settings.h"

#include <set>

namespace aeterna::qdrant {
namespace {

NodeSettings read_node(config::Section& entry, const config::Stack& stack) {
    NodeSettings node;
    node.name = entry.required_text("name");
    node.url = entry.required_text("url");
    while (node.url.ends_with('/')) node.url.pop_back();
    if (!node.url.empty() && host_of_url(node.url).empty()) {
        entry.fail("url", "'" + node.url + "' is no http:// or https:// address");
    }
    if (const config::Host* host = stack.host_of(node.name)) {
        node.host = host->name;
        node.site = host->site;
    }
    return node;
}

}  // namespace

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
    settings->tls.ca_file = source.text("ca_file", "");
    settings->tls.certificate_file = source.text("certificate_file", "");
    settings->tls.key_file = source.text("key_file", "");
    std::set<std::string> names, urls;
    for (config::Section& entry : source.list("nodes")) {
        NodeSettings node = read_node(entry, stack);
        if (!names.insert(node.name).second || !urls.insert(node.url).second) {
            return make_error(ErrorCode::kConfiguration,
                              source.location() + ": '" + node.name + "' or its url is used twice",
                              "Give each node of the qdrant section a name and a url of its own.");
        }
        settings->nodes.push_back(std::move(node));
    }
    if (settings->nodes.empty()) {
        return make_error(ErrorCode::kConfiguration, source.location() + ": qdrant has no 'nodes'",
                          "List every Qdrant server with its name and url.");
    }
    return SettingsPointer(std::move(settings));
}

}  // namespace aeterna::qdrant
