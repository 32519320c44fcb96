#include "qdrant/detect/probes.h"

#include <algorithm>
#include <set>

#include "qdrant/client/qdrant.h"
#include "services/prometheus.h"

namespace aeterna::qdrant {
namespace {

void post_api(Board& board, const std::string& node, NodeApi api, std::optional<Version> version) {
    board.post([&](Seen& seen) {
        NodeSeen& place = seen.nodes[node];
        if (version) place.version = std::move(version);
        if (api.cluster && api.cluster->enabled) place.peer_id = api.cluster->peer_id;
        place.api = std::move(api);
    });
}

void probe_api(const Client& client, const std::string& node, Board& board, const env::Env& env,
               const env::Context& context) {
    NodeApi api;
    api.started = env.clock.now();
    const auto fail = [&](const Error& error) {
        api.answer = answer_of(error);
        api.detail = error.to_string();
    };
    // `/` needs no key: it tells a dead server from one that refuses our key.
    Result<Version> version = client.version(context);
    if (version) {
        Result<ClusterInfo> cluster = client.cluster(context);
        if (cluster) {
            api.answer = Answer::kServing;
            api.cluster = std::move(*cluster);
        } else {
            fail(cluster.error());
        }
    } else {
        fail(version.error());
    }
    api.at = env.clock.now();
    post_api(board, node, std::move(api), version ? std::optional(*version) : std::nullopt);
}

// Walks through a node's collections, a window per round.
class CollectionsProbe {
  public:
    CollectionsProbe(Client client, std::string node, Board& board, const env::Env& env)
        : client_(std::move(client)), node_(std::move(node)), board_(board), env_(env) {}

    void run(const env::Context& context) {
        NodeCollections fresh;
        fresh.started = env_.clock.now();
        std::vector<std::string> names;
        if (Result<std::vector<std::string>> listed = client_.collections(context)) {
            names = std::move(*listed);
            std::sort(names.begin(), names.end());
            fresh.total = names.size();
            look_at_window(names, fresh, context);
        } else {
            fresh.is_unavailable = listed.error().code == ErrorCode::kUnavailable;
            fresh.error = listed.error().to_string();
        }
        if (const Result<bool> ready = client_.is_ready(context)) fresh.is_ready = *ready;
        fresh.at = env_.clock.now();
        merge(std::move(fresh), names);
    }

  private:
    void look_at_window(const std::vector<std::string>& names, NodeCollections& fresh,
                        const env::Context& context) {
        const std::size_t count = std::min(names.size(), kCollectionsPerRound);
        for (std::size_t i = 0; i < count; ++i) {
            const std::string& name = names[(next_ + i) % names.size()];
            Result<CollectionCluster> cluster = client_.collection_cluster(name, context);
            Result<CollectionInfo> info = cluster ? client_.collection(name, context)
                                                  : Result<CollectionInfo>(cluster.error());
            if (info) {
                fresh.views.push_back({name, std::move(*cluster), std::move(*info)});
            } else if (info.error().code !=
                       ErrorCode::kNotFound) {  // dropped meanwhile is no error
                fresh.is_unavailable = info.error().code == ErrorCode::kUnavailable;
                fresh.error = info.error().to_string();
                return;
            }
        }
        next_ = names.empty() ? 0 : (next_ + count) % names.size();
    }

    // Keeps what earlier rounds saw of collections that still exist.
    void merge(NodeCollections fresh, const std::vector<std::string>& names) {
        std::set<std::string> wanted(names.begin(), names.end());
        for (const CollectionView& view : fresh.views) wanted.erase(view.name);
        board_.post([&](Seen& seen) {
            NodeCollections& place = seen.nodes[node_].collections;
            for (CollectionView& old : place.views) {
                const bool is_kept =
                    names.empty() ? !fresh.error.empty() : wanted.contains(old.name);
                if (is_kept && fresh.views.size() < kCollectionsKept)
                    fresh.views.push_back(std::move(old));
            }
            place = std::move(fresh);
        });
    }

    Client client_;
    std::string node_;
    Board& board_;
    const env::Env& env_;
    std::size_t next_ = 0;
};

void probe_metric(const Settings& settings, Board& board, const env::Env& env,
                  const env::Context& context) {
    services::Prometheus prometheus(settings.prometheus_url, env);
    MetricSeen metric;
    metric.started = env.clock.now();
    const auto samples = prometheus.query(own_metric(settings), context);
    if (!samples) metric.error = samples.error().to_string();
    for (std::size_t i = 0; samples && i < samples->size(); ++i) {
        const auto& labels = (*samples)[i].labels;
        const auto stack = labels.find("stack");
        const auto status = labels.find("status");
        if (stack == labels.end() || stack->second != settings.stack_name) continue;
        if ((*samples)[i].value == 1 && status != labels.end()) metric.status = status->second;
    }
    metric.at = env.clock.now();
    board.post([&metric](Seen& seen) { seen.metric = std::move(metric); });
}

}  // namespace

std::vector<engine::ProbeTask> make_probes(const SettingsPointer& settings, Board& board,
                                           const env::Env& env) {
    std::vector<engine::ProbeTask> tasks;
    for (const NodeSettings& node : settings->nodes) {
        const Client client(node, *settings, env);
        tasks.push_back({node.name + " api", kApiPeriod, kApiTimeout,
                         [client, name = node.name, &board, &env](const env::Context& context) {
                             probe_api(client, name, board, env, context);
                         }});
        auto collections = std::make_shared<CollectionsProbe>(client, node.name, board, env);
        tasks.push_back(
            {node.name + " collections", kCollectionsPeriod, kCollectionsTimeout,
             [collections](const env::Context& context) { collections->run(context); }});
    }
    if (!settings->prometheus_url.empty()) {
        tasks.push_back({"prometheus qdrant metric", kMetricPeriod, kMetricTimeout,
                         [settings, &board, &env](const env::Context& context) {
                             probe_metric(*settings, board, env, context);
                         }});
    }
    return tasks;
}

}  // namespace aeterna::qdrant
