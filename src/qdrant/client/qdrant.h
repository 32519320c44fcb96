// Qdrant's REST API of one node: typed calls that block within their context. The key travels in
// the `api-key` header only. Always a node's own address, never a load balancer: what a node says
// is about itself.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"
#include "env/env.h"
#include "qdrant/client/answers.h"
#include "qdrant/settings.h"

namespace aeterna::qdrant {

struct CollectionParameters {
    std::uint64_t vector_size = 0;  // Cosine
    std::uint64_t shard_number = 1;
    std::uint64_t replication_factor = 1;
    std::uint64_t write_consistency_factor = 1;
};

// Thread-safe.
class Client {
  public:
    Client(std::string url, Secret api_key, env::TlsOptions tls, const env::Env& env)
        : url_(std::move(url)), api_key_(std::move(api_key)), tls_(std::move(tls)), env_(&env) {}
    Client(const NodeSettings& node, const Settings& settings, const env::Env& env)
        : Client(node.url, settings.api_key, settings.tls, env) {}

    [[nodiscard]] Result<Version> version(const env::Context& context) const;
    // False: some of its shards have not healed since it started. Latches, so no liveness signal
    // (facts §2).
    [[nodiscard]] Result<bool> is_ready(const env::Context& context) const;
    [[nodiscard]] Result<ClusterInfo> cluster(const env::Context& context) const;
    [[nodiscard]] Result<std::vector<std::string>> collections(const env::Context& context) const;
    [[nodiscard]] Result<CollectionCluster> collection_cluster(const std::string& collection,
                                                               const env::Context& context) const;
    [[nodiscard]] Result<CollectionInfo> collection(const std::string& collection,
                                                    const env::Context& context) const;

    // kAlreadyExists. Returns when the cluster has agreed; the other nodes may follow a moment
    // later.
    Status create_collection(const std::string& collection, const CollectionParameters& parameters,
                             const env::Context& context) const;
    // False when there was none.
    [[nodiscard]] Result<bool> drop_collection(const std::string& collection,
                                               const env::Context& context) const;
    // Acknowledged once applied (wait=true) on as many replicas as the collection's
    // write_consistency_factor asks.
    Status upsert(const std::string& collection, std::uint64_t id, const std::vector<float>& vector,
                  const env::Context& context) const;
    // `consistency`: "all", "majority", "quorum"; empty = one replica.
    [[nodiscard]] Result<ScrollPage> scroll(const std::string& collection,
                                            std::optional<std::uint64_t> offset, std::size_t limit,
                                            const std::string& consistency,
                                            const env::Context& context) const;
    [[nodiscard]] Result<std::uint64_t> count(const std::string& collection,
                                              const env::Context& context) const;
    [[nodiscard]] Result<std::vector<std::uint64_t>> query(const std::string& collection,
                                                           const std::vector<float>& vector,
                                                           std::size_t limit,
                                                           const env::Context& context) const;

    [[nodiscard]] const std::string& url() const { return url_; }

  private:
    [[nodiscard]] Result<env::HttpResponse> send(const std::string& method, const std::string& path,
                                                 const Json* body,
                                                 const env::Context& context) const;
    [[nodiscard]] Result<Json> call(const std::string& method, const std::string& path,
                                    const Json* body, const env::Context& context) const;

    std::string url_;
    Secret api_key_;
    env::TlsOptions tls_;
    const env::Env* env_;
};

// A collection's name as a path segment: everything but unreserved characters escaped (RFC 3986).
[[nodiscard]] std::string escape_segment(std::string_view text);

}  // namespace aeterna::qdrant
