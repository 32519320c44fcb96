// Collections, aliases and the cluster's view: the metadata routes.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "lab/stand_in/routes.h"

namespace aeterna::lab {
namespace {

bool is_valid_name(const std::string& name) {
    const auto is_fine = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), is_fine);
}

}  // namespace

Routes::Answer Routes::cluster() const {
    Json peers = Json::object(), failures = Json::object();
    const auto health = replication_.health();
    for (const StandInPeer& peer : config_.peers) {
        peers[std::to_string(peer.peer_id)] = {{"uri", peer.url}};
        const auto found = health.find(peer.peer_id);
        if (found == health.end() || found->second.answered) continue;
        failures[peer.url] = {
            {"count", found->second.failures},
            {"latest_error", found->second.latest_error},
            {"latest_error_timestamp", format_time(found->second.latest_error_at)}};
    }
    const std::uint64_t leader = replication_.leader();
    const std::string role = leader == 0                ? "Candidate"
                             : leader == config_.own_id ? "Leader"
                                                        : "Follower";
    return {200,
            {{"status", "enabled"},
             {"peer_id", config_.own_id},
             {"peers", peers},
             {"raft_info",
              {{"term", 1},
               {"commit", 1},
               {"pending_operations", 0},
               {"leader", leader},
               {"role", role},
               {"is_voter", true}}},
             {"consensus_thread_status",
              {{"consensus_thread_status", "working"},
               {"last_update", format_time(env_.clock.wall_now())}}},
             {"message_send_failures", failures}},
            ""};
}

Routes::Answer Routes::collections_route(const env::ServerRequest& request, const Path& path,
                                         const Json& body) {
    const std::string& method = request.method;
    if (path.size() == 1 && method == "GET") return list_collections();
    if (path.size() == 2 && path[1] == "aliases" && method == "POST") return change_aliases(body);
    if (path.size() < 2) return fail(404, "Not found");
    const std::string& name = path[1];
    if (path.size() == 2 && method == "PUT") return create(name, body);
    if (path.size() == 2 && method == "DELETE") return drop(name);
    if (path.size() == 2 && method == "GET") return describe(name);
    if (path.size() == 3 && path[2] == "exists" && method == "GET") {
        const bool exists =
            database_.read([&](const DatabaseState& s) { return s.find(name) != nullptr; });
        return {200, {{"exists", exists}}, ""};
    }
    if (path.size() == 3 && path[2] == "aliases" && method == "GET") return list_aliases(name);
    if (path.size() == 3 && path[2] == "cluster" && method == "GET")
        return collection_cluster(name);
    if (path.size() == 3 && path[2] == "cluster")
        return fail(400, "Bad request: not supported by the stand-in");
    if (path.size() >= 3 && path[2] == "points") return points_route(request, path, body);
    return fail(404, "Not found: no such route in the stand-in");
}

Routes::Answer Routes::list_collections() const {
    const Json list = database_.read([](const DatabaseState& state) {
        Json names = Json::array();
        for (const auto& [name, collection] : state.collections) {
            if (!collection.dropped) names.push_back({{"name", name}});
        }
        return names;
    });
    return {200, {{"collections", list}}, ""};
}

Routes::Answer Routes::list_aliases(const std::string& collection) const {
    const auto aliases = database_.read([](const DatabaseState& state) { return state.aliases; });
    Json list = Json::array();
    for (const auto& [alias, target] : aliases) {
        if (!collection.empty() && target != collection) continue;
        list.push_back({{"alias_name", alias}, {"collection_name", target}});
    }
    return {200, {{"aliases", list}}, ""};
}

Routes::Answer Routes::change_aliases(const Json& body) {
    auto [aliases, names] = database_.read([](const DatabaseState& state) {
        std::set<std::string> live;
        for (const auto& [name, collection] : state.collections) {
            if (!collection.dropped) live.insert(name);
        }
        return std::pair(state.aliases, live);
    });
    const Json* actions = find_member(body, "actions");
    if (actions == nullptr || !actions->is_array()) return fail(400, "Format error: no 'actions'");
    for (const Json& action : *actions) {
        if (const Json* create = find_member(action, "create_alias")) {
            const auto alias = find_string(*create, "alias_name"),
                       target = find_string(*create, "collection_name");
            if (!alias || !target || !is_valid_name(*alias))
                return fail(400, "Format error: create_alias");
            if (!names.contains(*target))
                return fail(404, fmt::format("Not found: Collection `{}`", *target));
            aliases[*alias] = *target;
        } else if (const Json* remove = find_member(action, "delete_alias")) {
            aliases.erase(find_string(*remove, "alias_name").value_or(""));
        } else if (const Json* rename = find_member(action, "rename_alias")) {
            const auto from = find_string(*rename, "old_alias_name"),
                       to = find_string(*rename, "new_alias_name");
            if (!from || !to || !is_valid_name(*to)) return fail(400, "Format error: rename_alias");
            const auto node = aliases.find(*from);
            if (node == aliases.end()) return fail(404, fmt::format("Not found: Alias {}", *from));
            const std::string target = node->second;
            aliases.erase(node);
            aliases[*to] = target;
        } else {
            return fail(400, "Format error: unknown alias action");
        }
    }
    const Status done = replication_.write_meta(aliases_record(aliases, database_.next_version()));
    return done ? Answer{200, true, ""} : fail(status_of(done.error()), done.error().message);
}

Routes::Answer Routes::create(const std::string& name, const Json& body) {
    if (!is_valid_name(name)) return fail(422, "Validation error: collection name");
    const Json* vectors = find_member(body, "vectors");
    const auto size = vectors == nullptr ? std::nullopt : find_integer(*vectors, "size");
    const std::string distance =
        vectors == nullptr ? "" : find_string(*vectors, "distance").value_or("");
    if (!size || *size < 1 || *size > 65536)
        return fail(400, "Wrong input: the stand-in needs one vector 'size'");
    if (distance != "Cosine" && distance != "Dot")
        return fail(400, "Wrong input: the stand-in knows Cosine and Dot");
    Collection collection;
    collection.version = database_.next_version();
    // Every peer keeps a copy, whatever was asked for.
    collection.config = {
        {"size", *size},
        {"distance", distance},
        {"replication_factor", config_.peers.size()},
        {"write_consistency_factor",
         std::max<std::int64_t>(1, find_integer(body, "write_consistency_factor").value_or(1))}};
    for (const StandInPeer& peer : config_.peers)
        collection.replicas[peer.peer_id] = {"Active", collection.version};
    const bool exists =
        database_.read([&](const DatabaseState& s) { return s.find(name) != nullptr; });
    if (exists) return fail(409, fmt::format("Wrong input: Collection `{}` already exists!", name));
    const Status done = replication_.write_meta(collection_record(name, collection));
    return done ? Answer{200, true, ""} : fail(status_of(done.error()), done.error().message);
}

Routes::Answer Routes::drop(const std::string& name) {
    const auto state = database_.read([&](const DatabaseState& s) {
        DatabaseState copy{{}, s.aliases, s.aliases_version};
        const auto found = s.collections.find(name);
        if (found != s.collections.end() && !found->second.dropped) {
            copy.collections[name] = {0, true, found->second.config, found->second.replicas, {}};
        }
        return copy;
    });
    if (state.collections.empty()) return {200, false, ""};
    Collection end = state.collections.at(name);
    end.version = database_.next_version();
    Status done = replication_.write_meta(collection_record(name, end));
    auto aliases = state.aliases;
    if (std::erase_if(aliases, [&](const auto& entry) { return entry.second == name; }) > 0 &&
        done) {
        done = replication_.write_meta(aliases_record(aliases, database_.next_version()));
    }
    return done ? Answer{200, true, ""} : fail(status_of(done.error()), done.error().message);
}

Routes::Answer Routes::describe(const std::string& name) const {
    return database_.read([&](const DatabaseState& state) -> Answer {
        const Collection* found = state.find(name);
        if (found == nullptr)
            return fail(404, fmt::format("Not found: Collection `{}` doesn't exist!", name));
        const Json& config = found->config;
        const Json params = {
            {"vectors", {{"size", config["size"]}, {"distance", config["distance"]}}},
            {"shard_number", 1},
            {"replication_factor", config["replication_factor"]},
            {"write_consistency_factor", config["write_consistency_factor"]}};
        return {200,
                {{"status", "green"},
                 {"optimizer_status", "ok"},
                 {"points_count", found->count()},
                 {"indexed_vectors_count", 0},
                 {"segments_count", 1},
                 {"config", {{"params", params}}},
                 {"payload_schema", Json::object()}},
                ""};
    });
}

Routes::Answer Routes::collection_cluster(const std::string& name) const {
    return database_.read([&](const DatabaseState& state) -> Answer {
        const Collection* found = state.find(name);
        if (found == nullptr)
            return fail(404, fmt::format("Not found: Collection `{}` doesn't exist!", name));
        Json local = Json::array(), remote = Json::array();
        for (const auto& [peer, replica] : found->replicas) {
            if (peer == config_.own_id) {
                local.push_back(
                    {{"shard_id", 0}, {"points_count", found->count()}, {"state", replica.state}});
            } else {
                remote.push_back({{"shard_id", 0}, {"peer_id", peer}, {"state", replica.state}});
            }
        }
        return {200,
                {{"peer_id", config_.own_id},
                 {"shard_count", 1},
                 {"local_shards", local},
                 {"remote_shards", remote},
                 {"shard_transfers", Json::array()}},
                ""};
    });
}

}  // namespace aeterna::lab
