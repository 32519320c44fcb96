#include "qdrant/detect/verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::qdrant {
namespace {

constexpr std::size_t kVerdictReasonLimit = 20;

bool is_serving(Answer answer) { return answer == Answer::kServing || answer == Answer::kDenied; }

class Judge {
  public:
    Judge(const Seen& seen, const std::map<std::string, std::string>& urls,
          const engine::JudgeContext& context)
        : seen_(seen), urls_(urls), context_(context) {}

    Verdict run() {
        if (context_.isolated) {
            for (const auto& [name, node] : seen_.nodes) verdict_.answers[name] = Answer::kNever;
            verdict_.reasons.emplace_back("nothing at all answers: we may be isolated");
            return verdict_;
        }
        for (const auto& [name, node] : seen_.nodes)
            verdict_.answers[name] = present_answer(node, context_);
        if (!judge_nodes()) return verdict_;
        name_peers();
        judge_consensus();
        merge_replicas();
        judge_shards();
        judge_collections();
        finish();
        return verdict_;
    }

  private:
    [[nodiscard]] std::size_t count(Answer answer) const {
        return static_cast<std::size_t>(
            std::count_if(verdict_.answers.begin(), verdict_.answers.end(),
                          [answer](const auto& entry) { return entry.second == answer; }));
    }
    void raise(Color color, std::string reason, bool is_by_silence = false) {
        is_red_proven_ = is_red_proven_ || (color == Color::kRed && !is_by_silence);
        if (!color_ || *color_ < color) color_ = color;
        reasons_.emplace_back(color, std::move(reason));
    }

    // False when nothing can be said.
    bool judge_nodes() {
        const std::size_t total = verdict_.answers.size();
        if (count(Answer::kNever) > 0 || has_unseen_collections()) {
            verdict_.reasons.emplace_back("not every node has been asked yet");
            return false;
        }
        const std::size_t denied = count(Answer::kDenied);
        if (denied > 0 && count(Answer::kServing) == 0 && denied * 2 > total) {
            verdict_.reasons.emplace_back(
                "the nodes refuse our api key, so replicas cannot be seen");
            return false;
        }
        std::size_t serving = 0;
        for (const auto& [name, answer] : verdict_.answers) {
            serving += is_serving(answer) ? 1 : 0;
            if (answer == Answer::kServing) continue;
            raise(Color::kYellow,
                  fmt::format("{} is {}: {}", name, answer_name(answer), detail_of(name)));
        }
        const std::size_t peers = std::max(total, peers_total());
        const bool is_by_silence = (serving + count(Answer::kSilent)) * 2 > peers;
        if (serving == 0) {
            raise(Color::kRed,
                  count(Answer::kUnavailable) > 0 ? "the API answers 503 Service Unavailable"
                                                  : "no node serves",
                  is_by_silence);
        } else if (is_clustered() && serving * 2 <= peers) {
            raise(Color::kRed,
                  fmt::format("only {} of {} peers serve: no majority", serving, peers),
                  is_by_silence);
        }
        return true;
    }
    // A node that serves, but whose collections were not looked at yet (or not since this process
    // stood still).
    [[nodiscard]] bool has_unseen_collections() const {
        return std::any_of(seen_.nodes.begin(), seen_.nodes.end(), [this](const auto& entry) {
            const NodeCollections& collections = entry.second.collections;
            return verdict_.answers.at(entry.first) == Answer::kServing &&
                   (collections.at == MonoTime{} ||
                    (context_.stalled && context_.now - collections.at > kCollectionsFresh));
        });
    }
    [[nodiscard]] std::string detail_of(const std::string& name) const {
        const NodeApi& api = seen_.nodes.at(name).api;
        return api.answer == verdict_.answers.at(name) ? api.detail : "no fresh answer";
    }
    // What serving nodes say of the cluster.
    template <class Function>
    void for_each_view(Function function) const {
        for (const auto& [name, node] : seen_.nodes) {
            const bool counts = verdict_.answers.at(name) == Answer::kServing;
            if (counts && node.api.cluster && node.api.cluster->enabled)
                function(name, *node.api.cluster);
        }
    }
    [[nodiscard]] bool is_clustered() const {
        return std::any_of(seen_.nodes.begin(), seen_.nodes.end(), [](const auto& entry) {
            return entry.second.api.cluster && entry.second.api.cluster->enabled;
        });
    }
    [[nodiscard]] std::size_t peers_total() const {
        std::size_t most = 0;
        for_each_view([&most](const std::string&, const ClusterInfo& info) {
            most = std::max(most, info.peers.size());
        });
        return most;
    }

    void name_peers() {
        std::map<std::string, std::string> by_host;
        for (const auto& [name, url] : urls_) {
            const auto [place, is_new] = by_host.emplace(host_of_url(url), name);
            if (!is_new)
                place->second.clear();  // several nodes on one address: the URI tells nothing
        }
        for_each_view([&](const std::string&, const ClusterInfo& info) {
            for (const auto& [id, uri] : info.peers) {
                const auto known = by_host.find(host_of_url(uri));
                peers_[id].uri = uri;
                if (known != by_host.end()) peers_[id].node = known->second;
            }
        });
        for (const auto& [name, node] : seen_.nodes) {
            if (node.peer_id != 0) peers_[node.peer_id].node = name;
            // A standalone server tells its id only here.
            for (const CollectionView& view : node.collections.views)
                peers_[view.cluster.peer_id].node = name;
        }
        for (auto& [id, peer] : peers_) {
            const auto answer = verdict_.answers.find(peer.node);
            peer.is_serving = answer == verdict_.answers.end() || is_serving(answer->second);
            if (peer.node.empty()) peer.node = fmt::format("peer {}", id);
        }
    }

    void judge_consensus() {
        std::size_t views = 0, leaderless = 0;
        for_each_view([&](const std::string& name, const ClusterInfo& info) {
            ++views;
            leaderless += info.leader == 0 ? 1 : 0;
            if (info.consensus != "working") {
                raise(Color::kYellow, fmt::format("{}: its consensus thread is {} {}", name,
                                                  info.consensus, info.consensus_error));
            }
            // Only who sends knows: a follower keeps its failures from when it was a leader or a
            // candidate.
            if (info.role == "Follower") return;
            for (const auto& [uri, error] : info.send_failures) {
                // Peers that we ask ourselves are judged by their own answers.
                for (auto& [id, peer] : peers_) {
                    const bool is_stranger = !verdict_.answers.contains(peer.node);
                    if (!is_stranger || host_of_url(peer.uri) != host_of_url(uri)) continue;
                    peer.is_serving = false;
                    raise(Color::kYellow,
                          fmt::format("{}: cannot send to {}: {}", name, peer.node, error));
                }
            }
        });
        if (leaderless > 0) {
            raise(leaderless == views ? Color::kRed : Color::kYellow,
                  fmt::format("{} of {} answering nodes know no raft leader", leaderless, views));
        }
    }

    void merge_replicas() {
        struct Votes {
            int readable = 0, other = 0;
            std::string readable_state, other_state;
        };
        std::map<std::tuple<std::string, std::uint64_t, std::uint64_t>, Votes> votes;
        for (const auto& [name, node] : seen_.nodes) {
            if (!has_fresh_views(name, node)) continue;
            for (const CollectionView& view : node.collections.views) {
                for (const ShardReplica& replica : view.cluster.replicas) {
                    Votes& vote = votes[{view.name, replica.shard, replica.peer_id}];
                    const bool readable = is_readable_state(replica.state);
                    (readable ? vote.readable : vote.other)++;
                    (readable ? vote.readable_state : vote.other_state) = replica.state;
                }
            }
        }
        for (const auto& [key, vote] : votes) {
            const auto& [collection, shard, peer_id] = key;
            const bool readable = vote.readable > vote.other;  // the worse of two equal opinions
            const auto peer = peers_.find(peer_id);
            ReplicaSeen replica{collection,
                                shard,
                                peer_id,
                                fmt::format("peer {}", peer_id),
                                readable ? vote.readable_state : vote.other_state,
                                readable};
            if (peer != peers_.end()) {
                replica.node = peer->second.node;
                replica.is_serving = readable && peer->second.is_serving;
            }
            verdict_.replicas.push_back(std::move(replica));
        }
    }
    [[nodiscard]] bool has_fresh_views(const std::string& name, const NodeSeen& node) const {
        return verdict_.answers.at(name) == Answer::kServing && node.collections.at != MonoTime{} &&
               context_.now - node.collections.at <= kCollectionsFresh;
    }

    [[nodiscard]] bool is_silent(const std::string& node) const {
        const auto answer = verdict_.answers.find(node);
        return answer != verdict_.answers.end() && answer->second == Answer::kSilent;
    }

    void judge_shards() {
        struct Shard {
            int serving = 0;
            std::string why;
            bool has_silent_replica = false;  // readable, if its node only answered
        };
        std::map<std::pair<std::string, std::uint64_t>, Shard> shards;
        for (const ReplicaSeen& replica : verdict_.replicas) {
            auto& [serving, why, has_silent_replica] = shards[{replica.collection, replica.shard}];
            serving += replica.is_serving ? 1 : 0;
            if (replica.is_serving) continue;
            has_silent_replica =
                has_silent_replica || (is_readable_state(replica.state) && is_silent(replica.node));
            why += fmt::format("{}{} on {}", why.empty() ? "" : ", ", replica.state, replica.node);
        }
        for (const auto& [shard, found] : shards) {
            const auto& [serving, why, has_silent_replica] = found;
            if (serving == 0) {
                raise(Color::kRed,
                      fmt::format("shard {} of '{}' has no readable replica: {}", shard.second,
                                  shard.first, why),
                      has_silent_replica);
            } else if (!why.empty()) {
                raise(Color::kYellow, fmt::format("shard {} of '{}' has lost redundancy: {}",
                                                  shard.second, shard.first, why));
            }
        }
    }

    void judge_collections() {
        for (const auto& [name, node] : seen_.nodes) {
            if (verdict_.answers.at(name) != Answer::kServing) continue;
            if (!has_fresh_views(name, node)) {
                raise(Color::kYellow,
                      fmt::format("{}: its collections could not be seen lately", name));
                continue;
            }
            if (!node.collections.error.empty()) {
                raise(Color::kYellow, fmt::format("{}: {}", name, node.collections.error));
            }
            for (const CollectionView& view : node.collections.views) {
                if (view.info.status != "red" && view.info.optimizer_error.empty()) continue;
                raise(Color::kYellow, fmt::format("{}: collection '{}' is {}: {}", name, view.name,
                                                  view.info.status, view.info.optimizer_error));
            }
        }
    }

    void finish() {
        verdict_.color = color_.value_or(Color::kGreen);
        verdict_.is_red_by_silence = verdict_.color == Color::kRed && !is_red_proven_;
        // The worst first: lists are cut at the end.
        std::stable_sort(reasons_.begin(), reasons_.end(), [](const auto& left, const auto& right) {
            return left.first > right.first;
        });
        if (reasons_.size() > kVerdictReasonLimit) reasons_.resize(kVerdictReasonLimit);
        for (auto& [color, reason] : reasons_) verdict_.reasons.push_back(std::move(reason));
    }

    struct Peer {
        std::string uri;
        std::string node;
        bool is_serving = true;
    };

    const Seen& seen_;
    const std::map<std::string, std::string>& urls_;
    const engine::JudgeContext& context_;
    Verdict verdict_;
    std::map<std::uint64_t, Peer> peers_;
    std::optional<Color> color_;
    bool is_red_proven_ = false;
    std::vector<std::pair<Color, std::string>> reasons_;
};

}  // namespace

std::string_view color_name(Color color) {
    switch (color) {
        case Color::kGreen: return "Green";
        case Color::kYellow: return "Yellow";
        case Color::kRed: return "Red";
    }
    return "Red";
}

Answer present_answer(const NodeSeen& node, const engine::JudgeContext& context) {
    if (context.isolated || node.api.answer == Answer::kNever) return Answer::kNever;
    if (context.now - node.api.at <= kApiFresh) {
        const bool data_fails =
            node.collections.is_unavailable && node.collections.at >= node.api.at - kApiFresh;
        return node.api.answer == Answer::kServing && data_fails ? Answer::kUnavailable
                                                                 : node.api.answer;
    }
    return context.stalled ? Answer::kNever : Answer::kSilent;
}

void forget_before(MonoTime trusted_since, Seen& seen) {
    for (auto& [name, node] : seen.nodes) {
        if (node.api.started < trusted_since) node.api = {};
        if (node.collections.started < trusted_since) node.collections = {};
    }
    if (seen.metric && seen.metric->started < trusted_since) seen.metric.reset();
}

Verdict cluster_status(const Seen& seen, const std::map<std::string, std::string>& node_urls,
                       const engine::JudgeContext& context) {
    return Judge(seen, node_urls, context).run();
}

}  // namespace aeterna::qdrant
