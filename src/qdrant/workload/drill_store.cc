#include "qdrant/workload/drill_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <mutex>
#include <set>

#include "qdrant/workload/writers.h"

namespace aeterna::qdrant {
namespace {

constexpr std::size_t kPageSize = 1000;
constexpr std::size_t kMaxRecords = 10'000'000;
constexpr Duration kPollPause = 100ms;
constexpr Duration kAskVersion = 1s;

class QdrantDrillStore final : public engine::DrillStore {
  public:
    QdrantDrillStore(SettingsPointer settings, const env::Env& env)
        : settings_(std::move(settings)), env_(env) {
        for (const NodeSettings& node : settings_->nodes)
            nodes_.push_back({node.name, Client(node, *settings_, env)});
    }

    const std::string& name() const override { return name_; }
    const config::Objectives& objectives() const override { return settings_->objectives; }
    bool has_primary() const override { return false; }

    std::string server() const override {
        const std::lock_guard lock(server_mutex_);
        for (std::size_t i = 0; server_.empty() && i < nodes_.size(); ++i) {
            const env::Context context{env_.clock.now() + kAskVersion, {}, "server"};
            const auto version = nodes_[i].client.version(context);
            if (version) server_ = version->is_real() ? "real" : "stand-in";
        }
        return server_.empty() ? "unknown" : server_;
    }

    Status prepare(const std::string& drill_id, const env::Context& context) override {
        const std::string collection = drill_collection(drill_id);
        AETERNA_TRY(clean_up(drill_id, context));
        const std::uint64_t nodes = nodes_.size();
        CollectionParameters parameters;
        parameters.vector_size = kVectorSize;
        parameters.shard_number = std::min<std::uint64_t>(nodes, 3);
        parameters.replication_factor = nodes;
        // With 1 (the default) a write that only one replica took is acknowledged, and is lost with
        // that replica.
        parameters.write_consistency_factor = std::min<std::uint64_t>(nodes, 2);
        AETERNA_TRY(on_any_node(context, [&](const Client& client, const env::Context& share) {
            const Status created = client.create_collection(collection, parameters, share);
            // An earlier try with an unknown outcome may have made it.
            if (!created && created.error().code == ErrorCode::kAlreadyExists) return Status{};
            return created;
        }));
        return wait_until_active(collection, context);
    }

    Result<std::vector<engine::WritePath>> paths(const std::string& drill_id) override {
        const std::string collection = drill_collection(drill_id);
        std::vector<engine::WritePath> paths;
        paths.push_back(
            {"client", engine::PathKind::kClient, make_writer(nodes_, collection, env_)});
        for (const NamedClient& node : nodes_) {
            paths.push_back(
                {node.name, engine::PathKind::kDirect, make_writer({node}, collection, env_)});
        }
        return paths;
    }

    Result<std::vector<std::uint64_t>> read_back(const std::string& drill_id,
                                                 const env::Context& context) override {
        const std::string collection = drill_collection(drill_id);
        Error last = make_error(ErrorCode::kUnavailable, "no qdrant node to read from");
        // What most replicas agree on; "majority" wants them all active (1.18.3), "quorum" more
        // than half of them. One replica alone is still right: a replica that missed an
        // acknowledged write is Dead, and not read.
        for (const char* consistency : {"majority", "quorum", ""}) {
            for (std::size_t i = 0; i < nodes_.size(); ++i) {
                const env::Context share = share_of(context, nodes_.size() - i + 1);
                Result<std::vector<std::uint64_t>> ids =
                    read_all(nodes_[i].client, collection, consistency, share);
                if (ids) {
                    AETERNA_TRY(probe_search(nodes_[i].client, collection, *ids, context));
                    return ids;
                }
                last = wrap_error(ids.error(), nodes_[i].name);
            }
        }
        return last;
    }

    Result<engine::FaultTarget> fault_target(engine::FaultKind, const env::Context&) override {
        return make_error(ErrorCode::kNotFound, "qdrant has no primary to break",
                          "Drill Q1 leaves Qdrant alone and measures it.");
    }

    Status clean_up(const std::string& drill_id, const env::Context& context) override {
        const std::string collection = drill_collection(drill_id);
        return on_any_node(context, [&](const Client& client, const env::Context& share) -> Status {
            AETERNA_TRY(client.drop_collection(collection, share));
            return {};
        });
    }

  private:
    [[nodiscard]] env::Context share_of(const env::Context& context, std::size_t parts) const {
        return env_.clock.within(env_.clock.remaining(context) / static_cast<std::int64_t>(parts),
                                 context);
    }

    template <class Function>
    Status on_any_node(const env::Context& context, Function function) {
        Status last = make_error(ErrorCode::kUnavailable, "no qdrant node answers");
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            // One more part than nodes: what follows wants time too.
            last = function(nodes_[i].client, share_of(context, nodes_.size() - i + 1));
            if (last) return last;
            last = wrap_error(last.error(), nodes_[i].name);
        }
        return last;
    }

    // The other nodes learn of a new collection a moment later, and its replicas start as
    // Initializing. Nodes that do not answer are left out: a drill also runs with one of them away.
    Status wait_until_active(const std::string& collection, const env::Context& context) {
        while (env_.clock.remaining(context) > kPollPause) {
            std::vector<CollectionCluster> views;
            bool all_know_it = true;
            for (const NamedClient& node : nodes_) {
                auto view = node.client.collection_cluster(collection,
                                                           share_of(context, nodes_.size() + 1));
                if (view) {
                    views.push_back(std::move(*view));
                } else if (view.error().code == ErrorCode::kNotFound) {
                    all_know_it = false;
                }
            }
            if (all_know_it && views.size() * 2 > nodes_.size() && are_active(views)) return {};
            if (!env_.clock.sleep_for(kPollPause, context.stop)) break;
        }
        return make_error(ErrorCode::kDeadline,
                          fmt::format("collection '{}' did not become active", collection));
    }

    // Every replica on a peer that answers, in the eyes of every such peer.
    static bool are_active(const std::vector<CollectionCluster>& views) {
        std::set<std::uint64_t> answering;
        for (const CollectionCluster& view : views) answering.insert(view.peer_id);
        for (const CollectionCluster& view : views) {
            for (const ShardReplica& replica : view.replicas) {
                if (answering.contains(replica.peer_id) && replica.state != "Active") return false;
            }
        }
        return true;
    }

    static Result<std::vector<std::uint64_t>> read_all(const Client& client,
                                                       const std::string& collection,
                                                       const std::string& consistency,
                                                       const env::Context& context) {
        std::vector<std::uint64_t> ids;
        std::optional<std::uint64_t> offset;
        do {
            AETERNA_ASSIGN(const ScrollPage page,
                           client.scroll(collection, offset, kPageSize, consistency, context));
            // A next page that does not move on would never end.
            if (page.next && offset && *page.next <= *offset) {
                return make_error(ErrorCode::kProtocol,
                                  "unexpected answer from qdrant: the scroll goes back");
            }
            ids.insert(ids.end(), page.ids.begin(), page.ids.end());
            if (ids.size() > kMaxRecords)
                return make_error(ErrorCode::kServer, "more records than a drill writes");
            offset = page.next;
        } while (offset);
        std::sort(ids.begin(), ids.end());
        return ids;
    }

    // Points that can be listed but not found are not restored service.
    static Status probe_search(const Client& client, const std::string& collection,
                               const std::vector<std::uint64_t>& ids, const env::Context& context) {
        if (ids.empty()) return {};
        for (const std::uint64_t id : {ids.front(), ids[ids.size() / 2], ids.back()}) {
            AETERNA_ASSIGN(const auto hits, client.query(collection, vector_of(id), 1, context));
            if (hits.size() == 1 && hits.front() == id) continue;
            return make_error(ErrorCode::kServer,
                              fmt::format("a search does not find point {}", id),
                              "The points are there, but the search index is not right.");
        }
        return {};
    }

    std::string name_ = "qdrant";
    SettingsPointer settings_;
    const env::Env& env_;
    std::vector<NamedClient> nodes_;
    mutable std::mutex server_mutex_;
    mutable std::string server_;
};

}  // namespace

std::string drill_collection(const std::string& drill_id) {
    std::string name = "aeterna_dr_drill_" + drill_id.substr(0, 200);
    std::replace_if(
        name.begin(), name.end(),
        [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_'; }, '_');
    return name;
}

std::unique_ptr<engine::DrillStore> make_drill_store(SettingsPointer settings,
                                                     const env::Env& env) {
    return std::make_unique<QdrantDrillStore>(std::move(settings), env);
}

}  // namespace aeterna::qdrant
