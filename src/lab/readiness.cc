// See readiness.h.
#include "lab/readiness.h"

#include <fmt/format.h>

#include <mutex>
#include <set>

#include "base/json.h"
#include "base/strings.h"
#include "lab/server_config.h"

namespace aeterna::lab {
namespace {

std::string name(const char* kind, int host) { return fmt::format("{}-{}", kind, host); }

// The body when the answer is 200.
Result<std::string> get(const CheckContext& lab, const env::Endpoint& endpoint,
                        const std::string& path, const env::Context& context) {
    env::HttpRequest request;
    request.url = "http://" + endpoint.to_string() + path;
    AETERNA_ASSIGN(env::HttpResponse response, lab.env.http.send(request, context));
    if (response.status != 200)
        return make_error(ErrorCode::kUnavailable,
                          fmt::format("{} answers {}", path, response.status));
    return std::move(response.body);
}

Result<Json> patroni_state(const CheckContext& lab, int host, const env::Context& context) {
    env::HttpRequest request;
    request.url =
        fmt::format("http://{}/patroni", lab.layout.endpoint("patroni", host).to_string());
    AETERNA_ASSIGN(const env::HttpResponse response, lab.env.http.send(request, context));
    return parse_json(response.body, "Patroni");
}

bool is_leader(const Json& state) {
    const std::string role = find_string(state, "role").value_or("");
    return (role == "master" || role == "primary") && find_string(state, "state") == "running";
}

// Streaming standbys by the leader's pg_stat_replication, as Patroni shows it.
Reason check_standbys(const CheckContext& lab, const Json& leader) {
    int streaming = 0;
    int synchronous = 0;
    if (const Json* list = find_member(leader, "replication"); list != nullptr && list->is_array())
        for (const Json& standby : *list) {
            if (find_string(standby, "state") != "streaming") continue;
            ++streaming;
            if (find_string(standby, "sync_state") != "async") ++synchronous;
        }
    if (streaming < kHosts - 1)
        return fmt::format("patroni: {} of {} replicas stream", streaming, kHosts - 1);
    if (lab.layout.synchronous && synchronous == 0) return "patroni: no synchronous standby yet";
    return std::nullopt;
}

}  // namespace

Reason check_etcd(const CheckContext& lab, const env::Context& context) {
    for (int host = 1; host <= kHosts; ++host) {
        const auto body = get(lab, lab.layout.endpoint("etcd", host), "/health", context);
        if (!body) return name("etcd", host) + ": " + body.error().to_string();
        // {"health":"true"} only when the member knows a leader (etcd 3.4: text, not a boolean).
        if (body->find("\"true\"") == std::string::npos)
            return name("etcd", host) + ": has no leader";
    }
    return std::nullopt;
}

Reason check_patroni(const CheckContext& lab, const env::Context& context) {
    std::optional<Json> leader;
    for (int host = 1; host <= kHosts; ++host) {
        auto state = patroni_state(lab, host, context);
        if (!state) return name("patroni", host) + ": " + state.error().to_string();
        const std::string word = find_string(*state, "state").value_or("unknown");
        if (word != "running") return fmt::format("postgres-{}: {}", host, word);
        if (!is_leader(*state)) continue;
        if (leader) return "patroni: two nodes say that they lead";
        leader = std::move(*state);
    }
    if (!leader) return "patroni: no leader";
    return check_standbys(lab, *leader);
}

std::optional<int> find_leader(const CheckContext& lab, const env::Context& context) {
    for (int host = 1; host <= kHosts; ++host) {
        const auto state = patroni_state(lab, host, lab.env.clock.within(1s, context));
        if (state && is_leader(*state)) return host;
    }
    return std::nullopt;
}

Reason check_client_write(const CheckContext& lab, const env::Context& context) {
    env::SqlTarget target;
    target.endpoint = lab.layout.endpoint("haproxy", kFrontHost);
    target.user = kRole;
    target.password = lab.secrets.secret("postgres_aeterna_dr");
    target.database = kDatabase;
    target.ssl_mode = "disable";
    target.application_name = "aeterna-dr lab";
    auto connection = lab.env.sql.connect(target, context);
    if (!connection) return "SQL through haproxy-1: " + connection.error().to_string();
    const auto written = (*connection)
                             ->query(
                                 "INSERT INTO aeterna_dr.lab_check (id, at) VALUES (1, now()) "
                                 "ON CONFLICT (id) DO UPDATE SET at = excluded.at",
                                 {}, context);
    if (!written) return "SQL write through haproxy-1: " + written.error().to_string();
    return std::nullopt;
}

Reason check_qdrant_node(const CheckContext& lab, int host, const env::Context& context) {
    const auto body = get(lab, lab.layout.endpoint("qdrant", host), "/healthz", context);
    if (!body) return name("qdrant", host) + ": " + body.error().to_string();
    return std::nullopt;
}

Reason check_qdrant(const CheckContext& lab, const env::Context& context) {
    std::set<std::string> opinions;
    for (int host = 1; host <= kHosts; ++host) {
        env::HttpRequest request;
        request.url = "http://" + lab.layout.endpoint("qdrant", host).to_string() + "/cluster";
        request.headers.emplace_back("api-key", lab.secrets.reveal("qdrant"));
        const auto response = lab.env.http.send(request, context);
        if (!response) return name("qdrant", host) + ": " + response.error().to_string();
        if (response->status != 200)
            return fmt::format("qdrant-{}: /cluster answers {}", host, response->status);
        const auto document = parse_json(response->body, "qdrant");
        const Json* result = document ? find_member(*document, "result") : nullptr;
        const Json* peers = result != nullptr ? find_member(*result, "peers") : nullptr;
        const Json* raft = result != nullptr ? find_member(*result, "raft_info") : nullptr;
        if (peers == nullptr || raft == nullptr)
            return name("qdrant", host) + ": is in no cluster yet";
        if (peers->size() != kHosts)
            return fmt::format("qdrant-{}: sees {} of 3 peers", host, peers->size());
        const auto leader = find_integer(*raft, "leader").value_or(0);
        if (leader == 0) return name("qdrant", host) + ": the cluster has no leader yet";
        std::string opinion = std::to_string(leader);
        for (const auto& [id, peer] : peers->items()) opinion += "," + id;
        opinions.insert(opinion);
    }
    if (opinions.size() != 1) return "qdrant: the nodes do not agree on leader and peers yet";
    return std::nullopt;
}

Reason check_prometheus(const CheckContext& lab, const env::Context& context) {
    const auto body = get(lab, lab.layout.endpoint("prometheus", kFrontHost), "/-/ready", context);
    if (!body) return "prometheus-1: " + body.error().to_string();
    return std::nullopt;
}

Reason check_exporters(const CheckContext& lab, const env::Context& context) {
    for (int host = 1; host <= kHosts; ++host) {
        // Its start page: /metrics would run all of its queries.
        const auto body = get(lab, lab.layout.endpoint("exporter", host), "/", context);
        if (!body) return name("exporter", host) + ": " + body.error().to_string();
    }
    return std::nullopt;
}

Reason check_serve(const CheckContext& lab, const env::Context& context) {
    const auto body = get(lab, lab.layout.endpoint("serve", kFrontHost), "/healthz", context);
    if (!body) return "serve: " + body.error().to_string();
    return std::nullopt;
}

std::vector<std::string> check_all(const CheckContext& lab, bool with_serve, Duration timeout,
                                   const env::Context& context) {
    using Check = Reason (*)(const CheckContext&, const env::Context&);
    std::vector<Check> checks = {check_etcd,       check_patroni,  check_client_write,
                                 check_redis,      check_sentinel, check_qdrant,
                                 check_prometheus, check_exporters};
    if (with_serve) checks.push_back(check_serve);
    const env::Context bounded = lab.env.clock.within(timeout, context);
    std::mutex mutex;
    std::vector<std::string> reasons(checks.size());
    {
        std::vector<std::unique_ptr<env::Thread>> threads;
        for (std::size_t i = 0; i < checks.size(); ++i)
            threads.push_back(lab.env.threads.start("check", [&, i](const std::stop_token&) {
                const Reason reason = checks[i](lab, bounded);
                const std::lock_guard guard(mutex);
                reasons[i] = reason.value_or("");
            }));
        for (auto& thread : threads) thread->join();
    }
    std::erase(reasons, "");
    return reasons;
}

}  // namespace aeterna::lab
