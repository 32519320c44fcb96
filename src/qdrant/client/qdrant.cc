#include "qdrant/client/qdrant.h"

#include <fmt/format.h>

#include <cctype>

namespace aeterna::qdrant {

std::string escape_segment(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
            escaped += c;
        } else {
            escaped += fmt::format("%{:02X}", byte);
        }
    }
    return escaped;
}

Result<env::HttpResponse> Client::send(const std::string& method, const std::string& path,
                                       const Json* body, const env::Context& context) const {
    env::HttpRequest request;
    request.method = method;
    request.url = url_ + path;
    request.tls = tls_;
    if (!api_key_.empty()) request.headers.emplace_back("api-key", api_key_.reveal());
    if (body != nullptr) {
        request.headers.emplace_back("Content-Type", "application/json");
        request.body = dump_json(*body);
    }
    return env_->http.send(request, context);
}

Result<Json> Client::call(const std::string& method, const std::string& path, const Json* body,
                          const env::Context& context) const {
    AETERNA_ASSIGN(const auto response, send(method, path, body, context));
    return parse_envelope(response, fmt::format("{} {}", method, path));
}

Result<Version> Client::version(const env::Context& context) const {
    AETERNA_ASSIGN(const auto response, send("GET", "/", nullptr, context));
    if (response.status != 200) {  // a fault or a proxy before the server
        const Result<Json> refused = parse_envelope(response, "GET /");
        if (!refused) return refused.error();
    }
    AETERNA_ASSIGN(const Json document, parse_json(response.body, "GET /"));
    return parse_version(document);
}

Result<bool> Client::is_ready(const env::Context& context) const {
    AETERNA_ASSIGN(const auto response, send("GET", "/readyz", nullptr, context));
    if (response.status == 200 || response.status == 503) return response.status == 200;
    return make_error(ErrorCode::kProtocol, fmt::format("GET /readyz: HTTP {}", response.status));
}

Result<ClusterInfo> Client::cluster(const env::Context& context) const {
    AETERNA_ASSIGN(const Json result, call("GET", "/cluster", nullptr, context));
    return parse_cluster(result);
}

Result<std::vector<std::string>> Client::collections(const env::Context& context) const {
    AETERNA_ASSIGN(const Json result, call("GET", "/collections", nullptr, context));
    return parse_collections(result);
}

Result<CollectionCluster> Client::collection_cluster(const std::string& collection,
                                                     const env::Context& context) const {
    const std::string path = "/collections/" + escape_segment(collection) + "/cluster";
    AETERNA_ASSIGN(const Json result, call("GET", path, nullptr, context));
    return parse_collection_cluster(result);
}

Result<CollectionInfo> Client::collection(const std::string& collection,
                                          const env::Context& context) const {
    AETERNA_ASSIGN(const Json result,
                   call("GET", "/collections/" + escape_segment(collection), nullptr, context));
    return parse_collection(result);
}

Status Client::create_collection(const std::string& collection,
                                 const CollectionParameters& parameters,
                                 const env::Context& context) const {
    const Json body = {{"vectors", {{"size", parameters.vector_size}, {"distance", "Cosine"}}},
                       {"shard_number", parameters.shard_number},
                       {"replication_factor", parameters.replication_factor},
                       {"write_consistency_factor", parameters.write_consistency_factor}};
    AETERNA_TRY(call("PUT", "/collections/" + escape_segment(collection), &body, context));
    return {};
}

Result<bool> Client::drop_collection(const std::string& collection,
                                     const env::Context& context) const {
    AETERNA_ASSIGN(const Json result,
                   call("DELETE", "/collections/" + escape_segment(collection), nullptr, context));
    return result.is_boolean() && result.get<bool>();
}

Status Client::upsert(const std::string& collection, std::uint64_t id,
                      const std::vector<float>& vector, const env::Context& context) const {
    Json points = Json::array();
    points.push_back({{"id", id}, {"vector", vector}});
    const Json body = {{"points", points}};
    AETERNA_ASSIGN(const Json result,
                   call("PUT", "/collections/" + escape_segment(collection) + "/points?wait=true",
                        &body, context));
    const std::string status = find_string(result, "status").value_or("");
    if (status == "completed") return {};
    // "wait_timeout": in the log of the replicas, but not applied yet.
    return make_error(ErrorCode::kUnknownOutcome,
                      fmt::format("the write is '{}', not 'completed'", status), "",
                      Effect::kUnknown);
}

Result<ScrollPage> Client::scroll(const std::string& collection,
                                  std::optional<std::uint64_t> offset, std::size_t limit,
                                  const std::string& consistency,
                                  const env::Context& context) const {
    Json body = {{"limit", limit}, {"with_payload", false}, {"with_vector", false}};
    if (offset) body["offset"] = *offset;
    std::string path = "/collections/" + escape_segment(collection) + "/points/scroll";
    if (!consistency.empty()) path += "?consistency=" + consistency;
    AETERNA_ASSIGN(const Json result, call("POST", path, &body, context));
    return parse_scroll(result);
}

Result<std::uint64_t> Client::count(const std::string& collection,
                                    const env::Context& context) const {
    const Json body = {{"exact", true}};
    AETERNA_ASSIGN(const Json result,
                   call("POST", "/collections/" + escape_segment(collection) + "/points/count",
                        &body, context));
    const auto count = find_integer(result, "count");
    if (!count || *count < 0)
        return make_error(ErrorCode::kProtocol, "unexpected answer from qdrant: no count");
    return static_cast<std::uint64_t>(*count);
}

Result<std::vector<std::uint64_t>> Client::query(const std::string& collection,
                                                 const std::vector<float>& vector,
                                                 std::size_t limit,
                                                 const env::Context& context) const {
    const Json body = {{"query", vector}, {"limit", limit}};
    AETERNA_ASSIGN(const Json result,
                   call("POST", "/collections/" + escape_segment(collection) + "/points/query",
                        &body, context));
    return parse_query(result);
}

}  // namespace aeterna::qdrant
