// Builds what a healthy cluster of three looks like to the probes; a test then breaks one thing.
#pragma once

#include "qdrant/detect/verdict.h"

namespace aeterna::qdrant::testing {

inline const MonoTime kNow = MonoTime(std::chrono::hours(1));

inline engine::JudgeContext at(Duration since_start = {}) {
    return {kNow + since_start,
            WallTime(std::chrono::seconds(1772359200)) +
                std::chrono::duration_cast<WallTime::duration>(since_start),
            false, false};
}

inline std::map<std::string, std::string> urls() {
    return {{"qdrant-1", "http://127.0.0.1:6333"},
            {"qdrant-2", "http://127.0.0.2:6333"},
            {"qdrant-3", "http://127.0.0.3:6333"}};
}

inline std::string node_name(int number) { return "qdrant-" + std::to_string(number); }

// Three peers, collection 'c' with `shards` shards on each of them, everything Active, seen at
// `at_time`.
inline Seen healthy(MonoTime at_time = kNow, int shards = 1) {
    Seen seen;
    for (int n = 1; n <= 3; ++n) {
        NodeSeen& node = seen.nodes[node_name(n)];
        node.version = Version{"qdrant - vector search engine", "1.18.3"};
        node.peer_id = static_cast<std::uint64_t>(100 + n);
        ClusterInfo info;
        info.enabled = true;
        info.peer_id = node.peer_id;
        info.leader = 101;
        info.role = n == 1 ? "Leader" : "Follower";
        info.consensus = "working";
        CollectionView view{"c", {node.peer_id, {}, 0}, {"green", "", 10, 3}};
        for (int p = 1; p <= 3; ++p) {
            const auto peer = static_cast<std::uint64_t>(100 + p);
            info.peers[peer] = "http://127.0.0." + std::to_string(p) + ":6335/";
            for (int s = 0; s < shards; ++s) {
                view.cluster.replicas.push_back({static_cast<std::uint64_t>(s), peer, "Active"});
            }
        }
        node.api = {at_time, Answer::kServing, "", info};
        node.collections.at = at_time;
        node.collections.views = {view};
        node.collections.total = 1;
    }
    return seen;
}

inline void fail_node(Seen& seen, int number, Answer answer) {
    NodeApi& api = seen.nodes[node_name(number)].api;
    api = {api.at, answer, "boom", std::nullopt};
}

// As every node sees the replica of shard `shard` on peer `peer`.
inline void set_replica(Seen& seen, int peer, const std::string& state, int only_viewer = 0,
                        int shard = 0) {
    for (int n = 1; n <= 3; ++n) {
        if (only_viewer != 0 && only_viewer != n) continue;
        for (ShardReplica& replica :
             seen.nodes[node_name(n)].collections.views[0].cluster.replicas) {
            const bool is_it = replica.peer_id == static_cast<std::uint64_t>(100 + peer) &&
                               replica.shard == static_cast<std::uint64_t>(shard);
            if (is_it) replica.state = state;
        }
    }
}

}  // namespace aeterna::qdrant::testing
