// Points: write, read, search. A node whose own copy is not readable lets a peer with an Active one
// answer, as Qdrant does.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "lab/stand_in/routes.h"

namespace aeterna::lab {
namespace {

constexpr std::size_t kMaxBatch = 100'000;
constexpr Duration kProxyTimeout = 5s;

bool is_wanted(const Json& body, std::string_view key, bool fallback) {
    const Json* value = find_member(body, key);
    if (value == nullptr) return fallback;
    return value->is_boolean() ? value->get<bool>() : true;
}

// With `payload` and `vector` as the request wants them.
Json shown(const PointId& id, const Point& point, const Json& body, bool payload_by_default) {
    Json result = {{"id", to_json(id)}};
    if (is_wanted(body, "with_payload", payload_by_default)) result["payload"] = point.payload;
    if (is_wanted(body, "with_vector", false)) result["vector"] = point.vector;
    return result;
}

std::optional<std::vector<float>> parse_vector(const Json* value) {
    if (value == nullptr || !value->is_array()) return std::nullopt;
    std::vector<float> vector;
    for (const Json& number : *value) {
        if (!number.is_number()) return std::nullopt;
        vector.push_back(number.get<float>());
    }
    return vector;
}

std::size_t limit_of(const Json& body) {
    return static_cast<std::size_t>(
        std::clamp<std::int64_t>(find_integer(body, "limit").value_or(10), 1, 100'000));
}

std::string after_text(const PointId& id) {
    return id.is_text ? id.text : std::to_string(id.number);
}

double score(const std::vector<float>& stored, const std::vector<float>& wanted, bool cosine) {
    double dot = 0, square = 0;
    for (std::size_t i = 0; i < stored.size(); ++i) {
        dot += static_cast<double>(stored[i]) * wanted[i];
        square += static_cast<double>(wanted[i]) * wanted[i];
    }
    return cosine && square > 0 ? dot / std::sqrt(square) : dot;
}

}  // namespace

Routes::Answer Routes::points_route(const env::ServerRequest& request, const Path& path,
                                    const Json& body) {
    const std::string name = database_.read([&](const DatabaseState& state) {
        return state.find(path[1]) == nullptr ? "" : state.resolve(path[1]);
    });
    if (name.empty())
        return fail(404, fmt::format("Not found: Collection `{}` doesn't exist!", path[1]));
    if (find_member(body, "filter") != nullptr)
        return fail(400, "Wrong input: the stand-in knows no filters");
    const auto wait = request.query.find("wait");
    const bool is_waiting = wait != request.query.end() && wait->second == "true";
    const std::string verb = path.size() == 4 ? path[3] : "";
    const bool is_post = request.method == "POST";
    if (path.size() == 3 && request.method == "PUT") return upsert(name, body, is_waiting);
    if (verb == "delete" && is_post) return remove(name, body, is_waiting);

    const auto readable = replication_.readable_peers(name);
    if (readable.empty()) return fail(500, "Service internal error: no active replica");
    // One hop at most: the peer that is asked answers from its own copy.
    if (readable.front() != config_.own_id && !request.headers.contains("x-stand-in-peer")) {
        for (const std::uint64_t id : readable) {
            const auto response = replication_.ask(*config_.find_peer(id), request.method,
                                                   request.path, request.body, kProxyTimeout);
            const auto parsed =
                response ? parse_json(response->body, "peer") : Result<Json>(response.error());
            if (!parsed || response->status != 200) continue;
            const Json* result = find_member(*parsed, "result");
            if (result != nullptr) return {200, *result, ""};
        }
        return fail(500, "Service internal error: no active replica answers");
    }
    if (path.size() == 3 && is_post) return retrieve(name, body);
    if (verb == "scroll" && is_post) return scroll(name, body);
    if ((verb == "query" || verb == "search") && is_post) return query(name, body);
    if (verb == "count" && is_post) {
        return database_.read([&](const DatabaseState& state) -> Answer {
            const Collection* found = state.find(name);
            return found == nullptr ? fail(404, "Not found")
                                    : Answer{200, {{"count", found->count()}}, ""};
        });
    }
    if (path.size() == 4 && request.method == "GET") {
        const auto number = to_integer(verb);
        const Json id =
            number && *number >= 0 ? Json(static_cast<std::uint64_t>(*number)) : Json(verb);
        const Answer found = retrieve(name, {{"ids", Json::array({id})}, {"with_vector", true}});
        if (!found.error.empty()) return found;
        return found.result.empty() ? fail(404, fmt::format("Not found: Point with id {}", verb))
                                    : Answer{200, found.result[0], ""};
    }
    return fail(404, "Not found: no such route in the stand-in");
}

Routes::Answer Routes::written(const Status& status, bool wait) {
    if (!status) {
        const int code = status.error().code == ErrorCode::kUsage ? 400 : 500;
        return fail(code, fmt::format("Service internal error: {}", status.error().message));
    }
    const std::lock_guard lock(mutex_);
    return {200,
            {{"operation_id", ++operations_}, {"status", wait ? "completed" : "acknowledged"}},
            ""};
}

Routes::Answer Routes::upsert(const std::string& name, const Json& body, bool wait) {
    const Json* points = find_member(body, "points");
    if (points == nullptr || !points->is_array() || points->empty() || points->size() > kMaxBatch) {
        return fail(400, "Wrong input: 'points' must be a list that is not empty");
    }
    const std::size_t dimension = database_.read([&](const DatabaseState& state) {
        const Collection* found = state.find(name);
        return found == nullptr ? 0 : found->dimension();
    });
    const std::uint64_t version = database_.next_version();
    Json record = {{"op", "points"}, {"name", name}, {"points", Json::array()}};
    for (const Json& item : *points) {
        const Json* id_value = find_member(item, "id");
        const auto id = id_value == nullptr ? std::nullopt : point_id_from_json(*id_value);
        if (!id) return fail(400, "Format error: a point id is an unsigned integer or a UUID");
        const auto vector = parse_vector(find_member(item, "vector"));
        if (!vector) return fail(400, "Wrong input: the stand-in needs one plain vector per point");
        if (vector->size() != dimension) {
            return fail(400,
                        fmt::format("Wrong input: Vector dimension error: expected dim: {}, got {}",
                                    dimension, vector->size()));
        }
        const Json* payload = find_member(item, "payload");
        record["points"].push_back(point_entry(
            *id, {version, false, *vector, payload == nullptr ? Json::object() : *payload}));
    }
    return written(replication_.write_points(name, record), wait);
}

Routes::Answer Routes::remove(const std::string& name, const Json& body, bool wait) {
    const Json* ids = find_member(body, "points");
    if (ids == nullptr || !ids->is_array())
        return fail(400, "Wrong input: 'points' must be a list of ids");
    const std::uint64_t version = database_.next_version();
    Json record = {{"op", "points"}, {"name", name}, {"points", Json::array()}};
    for (const Json& item : *ids) {
        const auto id = point_id_from_json(item);
        if (!id) return fail(400, "Format error: a point id is an unsigned integer or a UUID");
        record["points"].push_back(point_entry(*id, {version, true, {}, nullptr}));
    }
    return written(replication_.write_points(name, record), wait);
}

Routes::Answer Routes::retrieve(const std::string& name, const Json& body) const {
    const Json* ids = find_member(body, "ids");
    if (ids == nullptr || !ids->is_array()) return fail(400, "Wrong input: 'ids' must be a list");
    return database_.read([&](const DatabaseState& state) -> Answer {
        const Collection* found = state.find(name);
        if (found == nullptr) return fail(404, "Not found");
        Json list = Json::array();
        for (const Json& item : *ids) {
            const auto id = point_id_from_json(item);
            if (!id) return fail(400, "Format error: a point id is an unsigned integer or a UUID");
            const auto place = found->points.find(*id);
            if (place == found->points.end() || place->second.deleted) continue;
            list.push_back(shown(*id, place->second, body, true));
        }
        return {200, list, ""};
    });
}

Routes::Answer Routes::scroll(const std::string& name, const Json& body) const {
    if (find_member(body, "order_by") != nullptr)
        return fail(400, "Wrong input: the stand-in knows no order_by");
    const Json* offset = find_member(body, "offset");
    const auto start = offset == nullptr ? std::optional(PointId{}) : point_id_from_json(*offset);
    if (!start) return fail(400, "Format error: 'offset' is no point id");
    return database_.read([&](const DatabaseState& state) -> Answer {
        const Collection* found = state.find(name);
        if (found == nullptr) return fail(404, "Not found");
        Json list = Json::array(), next;
        for (auto place = found->points.lower_bound(*start); place != found->points.end();
             ++place) {
            if (place->second.deleted) continue;
            if (list.size() == limit_of(body)) {
                next = to_json(place->first);
                break;
            }
            list.push_back(shown(place->first, place->second, body, true));
        }
        return {200, {{"points", list}, {"next_page_offset", next}}, ""};
    });
}

Routes::Answer Routes::query(const std::string& name, const Json& body) const {
    const bool is_legacy = find_member(body, "vector") != nullptr;
    const Json* value = find_member(body, is_legacy ? "vector" : "query");
    if (value != nullptr && value->is_object()) value = find_member(*value, "nearest");
    return database_.read([&](const DatabaseState& state) -> Answer {
        const Collection* found = state.find(name);
        if (found == nullptr) return fail(404, "Not found");
        auto wanted = parse_vector(value);
        if (!wanted && value != nullptr) {
            const auto id = point_id_from_json(*value);
            const auto place = id ? found->points.find(*id) : found->points.end();
            if (place == found->points.end() || place->second.deleted)
                return fail(404, "Not found: No such point");
            wanted = place->second.vector;
        }
        if (!wanted || wanted->size() != found->dimension())
            return fail(400, "Wrong input: Vector dimension error");
        const bool cosine = find_string(found->config, "distance") == "Cosine";
        std::vector<std::pair<double, const std::pair<const PointId, Point>*>> best;
        const double threshold = find_number(body, "score_threshold").value_or(-1e300);
        for (const auto& entry : found->points) {
            if (entry.second.deleted) continue;
            const double value_of = score(entry.second.vector, *wanted, cosine);
            if (value_of >= threshold) best.emplace_back(value_of, &entry);
        }
        const std::size_t count = std::min(limit_of(body), best.size());
        std::partial_sort(
            best.begin(), best.begin() + static_cast<std::ptrdiff_t>(count), best.end(),
            [](const auto& left, const auto& right) { return left.first > right.first; });
        Json list = Json::array();
        for (std::size_t i = 0; i < count; ++i) {
            Json point = shown(best[i].second->first, best[i].second->second, body, false);
            point["score"] = best[i].first;
            point["version"] = best[i].second->second.version;
            list.push_back(std::move(point));
        }
        return {200, is_legacy ? list : Json{{"points", list}}, ""};
    });
}

Json Routes::points_page(const std::string& name, const std::string& after,
                         std::size_t limit) const {
    const auto number = to_integer(after);
    const auto start = number ? point_id_from_json(static_cast<std::uint64_t>(*number))
                              : point_id_from_json(after);
    return database_.read([&](const DatabaseState& state) {
        Json page = {{"op", "points"}, {"name", name}, {"points", Json::array()}};
        const Collection* found = state.find(name);
        if (found == nullptr) return page;
        auto place = start ? found->points.upper_bound(*start) : found->points.begin();
        for (; place != found->points.end(); ++place) {
            if (page["points"].size() == limit) {
                page["next"] = after_text(std::prev(place)->first);
                break;
            }
            page["points"].push_back(point_entry(place->first, place->second));
        }
        return page;
    });
}

}  // namespace aeterna::lab
