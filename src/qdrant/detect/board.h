// Where the Qdrant probes post and the judge reads. Observations are values with the time they were made; nothing here
// decides what they mean.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/detect/board.h"
#include "qdrant/client/answers.h"
#include "qdrant/settings.h"

namespace aeterna::qdrant {

enum class Answer {
    kNever,        // not asked yet
    kServing,      // the API answers
    kUnavailable,  // HTTP 503
    kDenied,       // HTTP 401 or 403: it lives, but shows us nothing
    kWrong,        // something answers, but not as Qdrant does
    kRefused,      // its kernel says that nobody listens
    kCut,          // its kernel ended the connection: dying, or just dead
    kSilent,       // nothing came back in time
};
[[nodiscard]] Answer answer_of(const Error& error);
// "serving", "unavailable", …: for people.
[[nodiscard]] std::string_view answer_name(Answer answer);
// A process is there and speaks to us.
[[nodiscard]] bool is_alive(Answer answer);

// The last look at one node's API.
struct NodeApi {
    MonoTime at{};
    Answer answer = Answer::kNever;
    std::string detail;  // the error, one line
    std::optional<ClusterInfo> cluster;
    MonoTime started{};  // `at` is the look's end
};

// What one node says of one collection.
struct CollectionView {
    std::string name;
    CollectionCluster cluster;
    CollectionInfo info;
};

struct NodeCollections {
    MonoTime at{};
    std::vector<CollectionView> views;
    std::size_t total = 0;        // collections on the server; views.size() may be less
    bool is_unavailable = false;  // a data-plane call answered 503
    // /readyz. For people only: it is checked lazily, so that the first answers of a sound node may be 503.
    std::optional<bool> is_ready;
    std::string error;  // why it could not be told; the views are then the last known ones
    MonoTime started{};  // of the newest look
};

struct NodeSeen {
    NodeApi api;
    NodeCollections collections;
    // Kept over silence: they do not change while a node is away.
    std::optional<Version> version;
    std::uint64_t peer_id = 0;  // 0 = never told
};

// aeterna_qdrant_cluster_status as Prometheus has it; no status = empty vector = unknown.
struct MetricSeen {
    MonoTime at{};
    std::optional<std::string> status;
    std::string error;
    MonoTime started{};
};

struct Seen {
    std::map<std::string, NodeSeen> nodes;  // by node name, every configured one
    std::optional<MetricSeen> metric;
};

class Board : public engine::Board<Seen> {
  public:
    explicit Board(const Settings& settings) : engine::Board<Seen>(engine::with_every_node<Seen>(settings)) {}
};

}  // namespace aeterna::qdrant
