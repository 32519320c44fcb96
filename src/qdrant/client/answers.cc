#include "qdrant/client/answers.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::qdrant {
namespace {

Error wrong(std::string_view what) {
    return make_error(ErrorCode::kProtocol, fmt::format("unexpected answer from qdrant: {}", what));
}

std::optional<std::uint64_t> to_id(const Json* value) {
    if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
    return value->get<std::uint64_t>();
}

std::optional<std::uint64_t> find_id(const Json& object, std::string_view key) {
    return to_id(find_member(object, key));
}

std::string error_text(const env::HttpResponse& response) {
    if (const auto body = parse_json(response.body, "error")) {
        const Json* status = find_member(*body, "status");
        if (status != nullptr) {
            if (const auto text = find_string(*status, "error")) return one_line(*text);
            if (status->is_string()) return one_line(status->get<std::string>());
        }
    }
    return one_line(response.body);
}

ErrorCode code_of(int status) {
    switch (status) {
        case 401: return ErrorCode::kAuthentication;
        case 403: return ErrorCode::kPermission;
        case 404: return ErrorCode::kNotFound;
        case 408: return ErrorCode::kTimeout;
        case 409: return ErrorCode::kAlreadyExists;
        case 503: return ErrorCode::kUnavailable;
        default: return ErrorCode::kServer;
    }
}

std::string hint_of(int status) {
    if (status == 401 || status == 403)
        return "Check 'api_key_file' of the qdrant section and the key's rights.";
    return "";
}

}  // namespace

bool is_readable_state(std::string_view state) {
    return state == "Active" || state == "ReshardingScaleDown" || state == "ActiveRead";
}

Result<Json> parse_envelope(const env::HttpResponse& response, std::string_view what) {
    if (response.status >= 200 && response.status < 300) {
        AETERNA_ASSIGN(Json body, parse_json(response.body, what));
        const Json* result = find_member(body, "result");
        if (result == nullptr) return wrong(fmt::format("{} without 'result'", what));
        return Json(*result);
    }
    const bool may_have_happened =
        response.status >= 500 || response.status == 408 || response.status < 400;
    return make_error(code_of(response.status),
                      fmt::format("{}: HTTP {}: {}", what, response.status, error_text(response)),
                      hint_of(response.status),
                      may_have_happened ? Effect::kUnknown : Effect::kNone);
}

Result<Version> parse_version(const Json& document) {
    const auto title = find_string(document, "title");
    const auto version = find_string(document, "version");
    if (!title || !version) return wrong("'/' tells neither title nor version");
    return Version{one_line(*title), one_line(*version, 40)};
}

Result<ClusterInfo> parse_cluster(const Json& result) {
    ClusterInfo info;
    const auto status = find_string(result, "status");
    if (!status) return wrong("/cluster without 'status'");
    if (*status == "disabled") return info;
    info.enabled = true;
    const auto peer_id = find_id(result, "peer_id");
    const Json* peers = find_member(result, "peers");
    const Json* raft = find_member(result, "raft_info");
    const Json* thread = find_member(result, "consensus_thread_status");
    if (!peer_id || peers == nullptr || !peers->is_object() || raft == nullptr ||
        thread == nullptr) {
        return wrong(
            "/cluster without 'peer_id', 'peers', 'raft_info' or 'consensus_thread_status'");
    }
    info.peer_id = *peer_id;
    for (const auto& [id, peer] : peers->items()) {
        const auto number = to_integer(id);
        if (!number || *number < 0) return wrong("/cluster with a peer id that is no number");
        info.peers[static_cast<std::uint64_t>(*number)] = find_string(peer, "uri").value_or("");
    }
    info.leader = find_id(*raft, "leader").value_or(0);
    info.role = find_string(*raft, "role").value_or("");
    info.consensus = find_string(*thread, "consensus_thread_status").value_or("");
    if (info.consensus.empty()) return wrong("/cluster without the consensus thread's state");
    info.consensus_error = one_line(find_string(*thread, "err").value_or(""));
    const Json* failures = find_member(result, "message_send_failures");
    if (failures != nullptr && failures->is_object()) {
        for (const auto& [uri, failure] : failures->items()) {
            info.send_failures[uri] = one_line(find_string(failure, "latest_error").value_or(""));
        }
    }
    return info;
}

Result<std::vector<std::string>> parse_collections(const Json& result) {
    const Json* list = find_member(result, "collections");
    if (list == nullptr || !list->is_array()) return wrong("/collections without a list");
    std::vector<std::string> names;
    for (const Json& item : *list) {
        auto name = find_string(item, "name");
        if (!name) return wrong("a collection without a name");
        names.push_back(std::move(*name));
    }
    return names;
}

Result<CollectionCluster> parse_collection_cluster(const Json& result) {
    CollectionCluster cluster;
    const auto peer_id = find_id(result, "peer_id");
    const Json* local = find_member(result, "local_shards");
    const Json* remote = find_member(result, "remote_shards");
    if (!peer_id || local == nullptr || !local->is_array() || remote == nullptr ||
        !remote->is_array()) {
        return wrong("a collection's cluster without 'peer_id', 'local_shards' or 'remote_shards'");
    }
    cluster.peer_id = *peer_id;
    const auto add = [&cluster](const Json& item, std::optional<std::uint64_t> peer) {
        const auto shard = find_id(item, "shard_id");
        auto state = find_string(item, "state");
        if (!shard || !peer || !state) return false;
        cluster.replicas.push_back({*shard, *peer, std::move(*state)});
        return true;
    };
    for (const Json& item : *local) {
        if (!add(item, peer_id)) return wrong("a local shard without id or state");
    }
    for (const Json& item : *remote) {
        if (!add(item, find_id(item, "peer_id")))
            return wrong("a remote shard without id, peer or state");
    }
    const Json* transfers = find_member(result, "shard_transfers");
    cluster.transfers = transfers != nullptr && transfers->is_array() ? transfers->size() : 0;
    return cluster;
}

Result<CollectionInfo> parse_collection(const Json& result) {
    CollectionInfo info;
    const auto status = find_string(result, "status");
    if (!status) return wrong("a collection without 'status'");
    info.status = *status;
    const Json* optimizer = find_member(result, "optimizer_status");
    if (optimizer != nullptr && optimizer->is_object()) {
        info.optimizer_error = one_line(find_string(*optimizer, "error").value_or("unknown error"));
    }
    info.points = find_id(result, "points_count").value_or(0);
    const Json* config = find_member(result, "config");
    const Json* parameters = config == nullptr ? nullptr : find_member(*config, "params");
    if (parameters != nullptr)
        info.replication_factor = find_id(*parameters, "replication_factor").value_or(1);
    return info;
}

Result<ScrollPage> parse_scroll(const Json& result) {
    const Json* points = find_member(result, "points");
    if (points == nullptr || !points->is_array()) return wrong("a scroll without 'points'");
    ScrollPage page;
    for (const Json& point : *points) {
        const auto id = find_id(point, "id");
        if (!id) return wrong("a point whose id is no number");
        page.ids.push_back(*id);
    }
    const Json* next = find_member(result, "next_page_offset");
    page.next = to_id(next);
    if (next != nullptr && !page.next) return wrong("a scroll whose next offset is no number");
    return page;
}

Result<std::vector<std::uint64_t>> parse_query(const Json& result) {
    const Json* points = find_member(result, "points");
    if (points == nullptr || !points->is_array()) return wrong("a query without 'points'");
    std::vector<std::uint64_t> ids;
    for (const Json& point : *points) {
        const auto id = find_id(point, "id");
        if (!id) return wrong("a hit whose id is no number");
        ids.push_back(*id);
    }
    return ids;
}

}  // namespace aeterna::qdrant
