// What Qdrant answers, as values, and the pure functions that read it from untrusted JSON. A
// missing or wrong member that we rely on is kProtocol; members that we do not know are ignored.
// Source: facts/qdrant.md §§1-5, read in v1.18.3.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "env/net.h"

namespace aeterna::qdrant {

struct Version {
    std::string title;    // "qdrant - vector search engine" is a real one
    std::string version;  // "1.18.3"
    [[nodiscard]] bool is_real() const { return title == "qdrant - vector search engine"; }
};

struct ClusterInfo {
    bool enabled = false;  // false: a standalone server
    std::uint64_t peer_id = 0;
    std::map<std::uint64_t, std::string> peers;  // members, alive or not: id → p2p URI
    std::uint64_t leader = 0;                    // 0 = none known
    std::string role;                            // Follower Candidate Leader PreCandidate
    std::string consensus;                       // working stopped stopped_with_err
    std::string consensus_error;
    std::map<std::string, std::string>
        send_failures;  // URI → latest error; an entry goes with the next success
};

struct ShardReplica {
    std::uint64_t shard = 0;
    std::uint64_t peer_id = 0;
    std::string state;  // Active Dead Partial …
};
// Reads are served from it (facts §3).
[[nodiscard]] bool is_readable_state(std::string_view state);

struct CollectionCluster {
    std::uint64_t peer_id = 0;
    std::vector<ShardReplica> replicas;  // all of them, as this peer sees them
    std::size_t transfers = 0;
};

struct CollectionInfo {
    std::string status;           // green yellow grey red; only red is a fault
    std::string optimizer_error;  // empty when "ok"
    std::uint64_t points = 0;     // approximate
    std::uint64_t replication_factor = 1;
};

struct ScrollPage {
    std::vector<std::uint64_t> ids;  // numeric ids only
    std::optional<std::uint64_t> next;
};

// The `result` of a good answer. Otherwise an Error whose effect says whether a write may have
// happened: none below 500 (rejected before execution, but for 408), unknown from there on. 401
// kAuthentication, 403 kPermission, 404 kNotFound, 408 kTimeout, 409 kAlreadyExists, 503
// kUnavailable, else kServer.
[[nodiscard]] Result<Json> parse_envelope(const env::HttpResponse& response, std::string_view what);

[[nodiscard]] Result<Version> parse_version(const Json& document);
[[nodiscard]] Result<ClusterInfo> parse_cluster(const Json& result);
[[nodiscard]] Result<std::vector<std::string>> parse_collections(const Json& result);
[[nodiscard]] Result<CollectionCluster> parse_collection_cluster(const Json& result);
[[nodiscard]] Result<CollectionInfo> parse_collection(const Json& result);
[[nodiscard]] Result<ScrollPage> parse_scroll(const Json& result);
// The ids of the hits, best first.
[[nodiscard]] Result<std::vector<std::uint64_t>> parse_query(const Json& result);

}  // namespace aeterna::qdrant
