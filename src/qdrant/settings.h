// The qdrant section of the stack file (docs/stack-file.md), read strictly. Values only; the key is
// read once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/stack.h"
#include "env/env.h"

namespace aeterna::qdrant {

struct NodeSettings {
    std::string name;  // "qdrant-1"
    std::string url;   // "http://10.0.0.1:6333", no trailing slash
    std::string host;  // of the stack file's hosts; empty when none names it
    std::string site;
};

struct Settings {
    std::string stack_name;
    config::Objectives objectives;
    Secret api_key;  // empty = none is sent
    env::TlsOptions tls;
    std::vector<NodeSettings> nodes;
    std::string prometheus_url;  // empty = none
};
using SettingsPointer = std::shared_ptr<const Settings>;

// kConfiguration. No network.
[[nodiscard]] Result<SettingsPointer> load_settings(const config::Stack& stack,
                                                    const config::StoreSection& section,
                                                    env::Files& files);

// The query for the metric that `serve` exports of this stack's cluster; other stacks may share the Prometheus.
[[nodiscard]] std::string own_metric(const Settings& settings);

// "127.0.0.1" of "http://127.0.0.1:6333/"; empty when there is none.
[[nodiscard]] std::string host_of_url(std::string_view url);

}  // namespace aeterna::qdrant
