#include "qdrant/check_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "qdrant/client/qdrant.h"
#include "services/prometheus.h"

namespace aeterna::qdrant {
namespace {

using engine::ConfigFinding;
using Level = ConfigFinding::Level;

constexpr std::size_t kMaxCollections = 100;

class Checker {
  public:
    Checker(const Settings& settings, const env::Env& env, const env::Context& context)
        : settings_(settings), env_(env), context_(context) {}

    std::vector<ConfigFinding> run() {
        if (settings_.api_key.empty()) {
            add(Level::kWarning, "qdrant key", "no 'api_key_file' is given",
                "Set service.api_key on the servers and name its file: without one everybody may "
                "drop collections.");
        }
        for (const NodeSettings& node : settings_.nodes) check_node(node);
        check_copies();
        check_metric();
        return std::move(findings_);
    }

  private:
    void add(Level level, std::string subject, std::string message, std::string hint = "") {
        findings_.push_back({level, std::move(subject), std::move(message), std::move(hint)});
    }

    void check_node(const NodeSettings& node) {
        const Client client(node, settings_, env_);
        const auto version = client.version(context_);
        if (!version) {
            add(Level::kError, node.name, version.error().to_string(), version.error().hint);
            return;
        }
        if (version->is_real()) {
            add(Level::kOk, node.name, "qdrant " + version->version);
        } else {
            add(Level::kWarning, node.name,
                fmt::format("this is no real qdrant but '{}'", version->title),
                "A stand-in is for trying things out; nothing in it is safe.");
        }
        check_cluster(node, client);
        check_transport(node);
    }

    void check_cluster(const NodeSettings& node, const Client& client) {
        const auto cluster = client.cluster(context_);
        if (!cluster) {
            add(Level::kError, node.name + " API", cluster.error().to_string(),
                cluster.error().hint);
            return;
        }
        if (!cluster->enabled) {
            const bool is_alone = settings_.nodes.size() == 1;
            add(is_alone ? Level::kWarning : Level::kError, node.name + " cluster",
                "it runs standalone",
                "Set cluster.enabled: a standalone server has no second copy of anything.");
            return;
        }
        if (cluster->peers.size() != settings_.nodes.size()) {
            add(Level::kError, node.name + " cluster",
                fmt::format("it has {} peers, the stack file names {} nodes", cluster->peers.size(),
                            settings_.nodes.size()),
                "List every peer, and remove lost ones with DELETE /cluster/peer/ID.");
            return;
        }
        if (cluster->consensus != "working") {
            add(Level::kError, node.name + " consensus",
                cluster->consensus + " " + cluster->consensus_error, "Restart this node.");
            return;
        }
        add(Level::kOk, node.name + " cluster",
            fmt::format("{} peers, consensus works", cluster->peers.size()));
    }

    void check_transport(const NodeSettings& node) {
        const bool is_local =
            host_of_url(node.url).starts_with("127.") || host_of_url(node.url) == "localhost";
        if (node.url.starts_with("http://") && !is_local && !settings_.api_key.empty()) {
            add(Level::kWarning, node.name + " transport", "the key travels in clear text",
                "Use https:// and service.enable_tls.");
        }
        if (settings_.api_key.empty()) return;
        const Client nobody(node.url, Secret(), settings_.tls, env_);
        if (nobody.collections(context_)) {
            add(Level::kWarning, node.name + " key", "it answers without a key",
                "Set service.api_key, or remove 'api_key_file' if this is meant.");
        }
    }

    // One answering node is enough: collection settings are the cluster's.
    void check_copies() {
        for (const NodeSettings& node : settings_.nodes) {
            const Client client(node, settings_, env_);
            const auto names = client.collections(context_);
            if (!names) continue;
            std::vector<std::string> single;
            for (std::size_t i = 0; i < std::min(names->size(), kMaxCollections); ++i) {
                const auto info = client.collection((*names)[i], context_);
                if (info && info->replication_factor < 2) single.push_back((*names)[i]);
            }
            if (!single.empty() && settings_.nodes.size() > 1) {
                add(Level::kWarning, "qdrant collections",
                    "only one copy: " + one_line(join(single, ", "), 300),
                    "Raise replication_factor and replicate the shards: now one lost node loses "
                    "them.");
            } else {
                add(Level::kOk, "qdrant collections", fmt::format("{} collections", names->size()));
            }
            return;
        }
    }

    // A read-back that finds nothing would otherwise only be missed when it is needed.
    void check_metric() {
        if (settings_.prometheus_url.empty()) return;
        const auto samples = services::Prometheus(settings_.prometheus_url, env_).query(own_metric(settings_), context_);
        if (!samples) {
            add(Level::kWarning, "qdrant metric", samples.error().to_string(), "Check prometheus' url.");
        } else if (samples->empty()) {
            add(Level::kWarning, "qdrant metric", "prometheus has no " + own_metric(settings_),
                "Let Prometheus scrape the address serve.listen, and serve run.");
        } else {
            add(Level::kOk, "qdrant metric", "prometheus scrapes serve");
        }
    }

    const Settings& settings_;
    const env::Env& env_;
    const env::Context& context_;
    std::vector<ConfigFinding> findings_;
};

}  // namespace

std::vector<engine::ConfigFinding> check_config(const Settings& settings, const env::Env& env,
                                                const env::Context& context) {
    return Checker(settings, env, context).run();
}

std::string least_privilege() {
    return R"(Qdrant knows three kinds of keys (service section of its configuration):

  read_only_api_key    enough for `status`, `serve` and every detector
  api_key              everything; needed by restores, peer and shard changes
  jwt_rbac: true       tokens signed with the api_key (HS256), each with just the rights it needs

Watching only, as a token's claims:
  {"access": "r", "subject": "aeterna-dr"}

Drills create and drop a collection of their own (aeterna_dr_drill_...), which needs manage:
  {"access": "m", "subject": "aeterna-dr-drill", "exp": UNIX_TIME}

Put the key or the token into a file (mode 0600) and name it in the stack file:
  api_key_file: /etc/aeterna-dr/qdrant.key
Tokens and keys travel in the header `api-key`; use https:// beyond one host.
)";
}

}  // namespace aeterna::qdrant
