#include "lab/stand_in/routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::lab {
namespace {

constexpr std::size_t kPageLimit = 1000;

env::ServerResponse text(int status, std::string body) {
    return {status, "text/plain; charset=utf-8", std::move(body), {}};
}

env::ServerResponse json(int status, const Json& body) {
    return {status, "application/json", dump_json(body), {}};
}

std::string query_value(const env::ServerRequest& request, const std::string& key) {
    const auto found = request.query.find(key);
    return found == request.query.end() ? "" : found->second;
}

// Takes as long for a near miss as for a far one.
bool is_equal_secret(const std::string& left, const std::string& right) {
    unsigned difference = left.size() == right.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
        difference |= static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]);
    }
    return difference == 0;
}

}  // namespace

int status_of(const Error& error) {
    switch (error.code) {
        case ErrorCode::kUsage: return 400;
        case ErrorCode::kNotFound: return 404;
        case ErrorCode::kUnavailable: return 503;
        default: return 500;
    }
}

env::ServerResponse Routes::handle(const env::ServerRequest& request) {
    Path path;
    for (const std::string_view part : split(request.path, '/')) {
        if (!part.empty()) path.emplace_back(part);
    }
    const bool is_internal = !path.empty() && path[0] == "stand-in";
    const bool is_fault_switch = is_internal && path.size() == 2 && path[1] == "faults";
    Faults faults;
    {
        const std::lock_guard lock(mutex_);
        if (!is_fault_switch && (!is_internal || faults_.internal)) faults = faults_;
    }
    if (faults.delay > Duration{}) env_.clock.sleep_for(faults.delay, stop_);
    const bool is_liveness = path.size() == 1 && (path[0] == "healthz" || path[0] == "livez");
    if (faults.status != 0 && !is_liveness) {
        return json(faults.status, {{"status", {{"error", "Service Unavailable: switched fault"}}},
                                    {"time", 0.0}});
    }
    if (request.method == "GET") {
        env::ServerResponse open = open_route(path);
        if (open.status != 404) return open;
    }
    if (!is_authorised(request)) return text(401, "Invalid API key or JWT");
    return answer(request, path);
}

env::ServerResponse Routes::open_route(const Path& path) const {
    if (path.empty()) return json(200, {{"title", kStandInTitle}, {"version", kStandInVersion}});
    if (path.size() != 1) return text(404, "");
    if (path[0] == "healthz" || path[0] == "livez") return text(200, path[0] + " check passed");
    if (path[0] != "readyz") return text(404, "");
    return all_ready() ? text(200, "all shards are ready") : text(503, "some shards are not ready");
}

bool Routes::all_ready() const {
    const bool is_ready =
        replication_.leader() != 0 && database_.read([this](const DatabaseState& state) {
            return std::all_of(state.collections.begin(), state.collections.end(),
                               [this](const auto& entry) {
                                   return entry.second.dropped ||
                                          entry.second.state_of(config_.own_id) == "Active";
                               });
        });
    const std::lock_guard lock(mutex_);
    was_ready_ = was_ready_ || is_ready;
    return was_ready_;
}

bool Routes::is_authorised(const env::ServerRequest& request) const {
    if (config_.api_key.empty()) return true;
    std::string given;
    if (const auto key = request.headers.find("api-key"); key != request.headers.end())
        given = key->second;
    if (const auto bearer = request.headers.find("authorization");
        given.empty() && bearer != request.headers.end()) {
        if (bearer->second.starts_with("Bearer ")) given = bearer->second.substr(7);
    }
    return is_equal_secret(given, config_.api_key.reveal());
}

env::ServerResponse Routes::answer(const env::ServerRequest& request, const Path& path) {
    const MonoTime start = env_.clock.now();
    Json body = Json::object();
    if (!request.body.empty()) {
        auto parsed = parse_json(request.body, "request");
        if (!parsed || !parsed->is_object()) {
            return json(400, {{"status", {{"error", "Format error in JSON body"}}}, {"time", 0.0}});
        }
        body = std::move(*parsed);
    }
    const std::string first = path.empty() ? "" : path[0];
    if (first == "stand-in" && path.size() == 2) return internal_route(request, path, body);
    if (first == "metrics" && path.size() == 1) return text(200, metrics());
    Answer result = fail(404, "Not found: no such route in the stand-in");
    if (first == "cluster" && path.size() == 1 && request.method == "GET") result = cluster();
    if (first == "aliases" && path.size() == 1 && request.method == "GET")
        result = list_aliases("");
    if (first == "collections") result = collections_route(request, path, body);
    const double seconds = to_seconds(env_.clock.now() - start);
    if (!result.error.empty()) {
        return json(result.status, {{"status", {{"error", result.error}}}, {"time", seconds}});
    }
    return json(result.status, {{"result", result.result}, {"status", "ok"}, {"time", seconds}});
}

env::ServerResponse Routes::internal_route(const env::ServerRequest& request, const Path& path,
                                           const Json& body) {
    if (path[1] == "view" && request.method == "GET") return json(200, replication_.view());
    if (path[1] == "points" && request.method == "GET") {
        const auto limit = to_integer(query_value(request, "limit")).value_or(100);
        return json(
            200,
            points_page(query_value(request, "collection"), query_value(request, "after"),
                        static_cast<std::size_t>(std::clamp<std::int64_t>(limit, 1, kPageLimit))));
    }
    if (path[1] == "apply" && request.method == "POST") {
        const Status applied = database_.apply(body);
        return applied ? json(200, Json::object())
                       : text(status_of(applied.error()), applied.error().message);
    }
    if (path[1] == "faults" && request.method == "POST") {
        Faults faults;
        faults.status = static_cast<int>(find_integer(body, "status").value_or(0));
        faults.delay = std::chrono::milliseconds(
            std::clamp<std::int64_t>(find_integer(body, "delay_ms").value_or(0), 0, 60'000));
        faults.internal = find_boolean(body, "internal").value_or(false);
        if (faults.status != 0 && (faults.status < 400 || faults.status > 599))
            return text(400, "bad status");
        const std::lock_guard lock(mutex_);
        faults_ = faults;
        return json(200, Json::object());
    }
    return text(404, "no such internal route");
}

std::string Routes::metrics() const {
    const auto health = replication_.health();
    return database_.read([&](const DatabaseState& state) {
        std::string points, dead = "# TYPE collection_dead_replicas gauge\n";
        std::size_t total = 0, unwell = 0;
        for (const auto& [name, collection] : state.collections) {
            if (collection.dropped) continue;
            ++total;
            points += fmt::format("collection_points{{id=\"{}\"}} {}\n", name, collection.count());
            unwell += std::any_of(collection.replicas.begin(), collection.replicas.end(),
                                  [](const auto& entry) { return entry.second.state != "Active"; })
                          ? 1
                          : 0;
        }
        return fmt::format("# TYPE app_info gauge\napp_info{{name=\"{}\",version=\"{}\"}} 1\n",
                           kStandInTitle, kStandInVersion) +
               fmt::format("# TYPE collections_total gauge\ncollections_total {}\n", total) +
               "# TYPE collection_points gauge\n" + points + dead +
               fmt::format("collection_dead_replicas {}\n", unwell) +
               fmt::format(
                   "# TYPE cluster_enabled gauge\ncluster_enabled 1\n"
                   "# TYPE cluster_peers_total gauge\ncluster_peers_total {}\n",
                   config_.peers.size());
    });
}

}  // namespace aeterna::lab
