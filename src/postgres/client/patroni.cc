// Patroni's REST interface over env::HttpClient.
#include "postgres/client/patroni.h"

#include <fmt/core.h>

#include "base/strings.h"

namespace aeterna::postgres {

ActionOutcome action_outcome(int http_status) {
    if (http_status == 200) return ActionOutcome::kDone;
    if (http_status == 202) return ActionOutcome::kScheduled;
    if (http_status >= 400 && http_status < 500) return ActionOutcome::kImpossible;
    return ActionOutcome::kUnknown;
}

Result<env::HttpResponse> Patroni::send(const NodeSettings& at, const std::string& method,
                                        const std::string& path, const std::string& body,
                                        const env::Context& context) const {
    env::HttpRequest request;
    request.method = method;
    request.url = at.patroni_url + path;
    request.user = settings_.patroni_user;
    request.password = settings_.patroni_password;
    request.response_limit_bytes = 4 << 20;
    if (!body.empty()) {
        request.body = body;
        request.headers.emplace_back("Content-Type", "application/json");
    }
    AETERNA_ASSIGN(env::HttpResponse response, env_.http.send(request, context));
    if (response.status == 401 || response.status == 403) {
        return make_error(ErrorCode::kAuthentication,
                          fmt::format("{} {}: status {}", method, request.url, response.status),
                          "Check patroni_user and patroni_password_file in the stack file.");
    }
    return response;
}

Result<std::string> Patroni::get(const NodeSettings& at, const std::string& path,
                                 const env::Context& context) const {
    AETERNA_ASSIGN(env::HttpResponse response, send(at, "GET", path, "", context));
    if (response.status == 200) return std::move(response.body);
    const ErrorCode code = response.status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kServer;
    return make_error(code, fmt::format("{}{}: status {}: {}", at.patroni_url, path,
                                        response.status, one_line(response.body)));
}

Result<PatroniNode> Patroni::node(const NodeSettings& at, const env::Context& context) const {
    AETERNA_ASSIGN(std::string body, get(at, "/patroni", context));
    return parse_patroni_node(body);
}

Result<PatroniCluster> Patroni::cluster(const NodeSettings& at, const env::Context& context) const {
    AETERNA_ASSIGN(std::string body, get(at, "/cluster", context));
    return parse_patroni_cluster(body);
}

Result<PatroniConfig> Patroni::config(const NodeSettings& at, const env::Context& context) const {
    AETERNA_ASSIGN(std::string body, get(at, "/config", context));
    return parse_patroni_config(body);
}

Result<std::vector<PatroniHistoryEntry>> Patroni::history(const NodeSettings& at,
                                                          const env::Context& context) const {
    AETERNA_ASSIGN(std::string body, get(at, "/history", context));
    return parse_patroni_history(body);
}

Result<bool> Patroni::holds_lock(const NodeSettings& at, const env::Context& context) const {
    AETERNA_ASSIGN(env::HttpResponse response, send(at, "GET", "/primary", "", context));
    return response.status == 200;
}

Result<ActionReply> Patroni::act(const NodeSettings& at, const std::string& path, const Json& body,
                                 const env::Context& context) const {
    auto response = send(at, "POST", path, dump_json(body), context);
    if (response) {
        return ActionReply{action_outcome(response->status), response->status,
                           one_line(response->body)};
    }
    const ErrorCode code = response.error().code;
    if (code == ErrorCode::kConnectionRefused || code == ErrorCode::kAuthentication ||
        code == ErrorCode::kUnreachable) {
        return std::move(response).error();
    }
    return ActionReply{ActionOutcome::kUnknown, 0, response.error().to_string()};
}

Result<ActionReply> Patroni::switchover(const NodeSettings& at, const std::string& leader,
                                        const std::string& candidate,
                                        const env::Context& context) const {
    return act(at, "/switchover", Json{{"leader", leader}, {"candidate", candidate}}, context);
}

Result<ActionReply> Patroni::reinitialize(const NodeSettings& at, const env::Context& context) const {
    return act(at, "/reinitialize", Json{{"force", true}}, context);
}

Result<ActionReply> Patroni::failover(const NodeSettings& at, const std::string& candidate,
                                      const env::Context& context) const {
    return act(at, "/failover", Json{{"candidate", candidate}}, context);
}

}  // namespace aeterna::postgres
