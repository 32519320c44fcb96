#include "app/daemon/api.h"

#include <fmt/format.h>

#include "app/cli/session.h"

namespace aeterna::app {
namespace {

env::ServerResponse json_response(int status, const Json& document, const ApiInput& input) {
    env::ServerResponse response;
    response.status = status;
    response.body = dump_json_pretty(with_envelope(document, input.stack, input.wall_now)) + "\n";
    response.headers = {{"Cache-Control", "no-store"}};
    return response;
}

env::ServerResponse error_response(int status, ErrorCode code, const std::string& message,
                                   const std::string& hint, const ApiInput& input) {
    return json_response(status, error_document(make_error(code, message, hint)), input);
}

env::ServerResponse metrics_response(const ApiInput& input) {
    report::MetricsInput metrics;
    metrics.version = std::string(kVersion);
    metrics.status = input.snapshot->status;
    metrics.probes = input.probes;
    metrics.detectors = input.snapshot->detectors;
    env::ServerResponse response;
    response.content_type = std::string(report::kMetricsContentType);
    response.body = report::render_metrics(metrics);
    return response;
}

}  // namespace

env::ServerResponse answer(const env::ServerRequest& request, const ApiInput& input) {
    const bool is_known = request.path == "/healthz" || request.path == "/metrics" ||
                          request.path == "/status" || request.path == "/incidents";
    if (!is_known) {
        return error_response(404, ErrorCode::kNotFound, fmt::format("there is no '{}'", request.path),
                              "Ask for /healthz, /metrics, /status or /incidents.", input);
    }
    if (request.method != "GET" && request.method != "HEAD") {
        return error_response(405, ErrorCode::kUsage, fmt::format("'{}' is not served", request.method),
                              "Use GET.", input);
    }
    if (request.path == "/incidents") {
        if (!input.incidents) {
            return error_response(503, ErrorCode::kUnavailable, "the journal cannot be read",
                                  "See the log of serve.", input);
        }
        Json document{{"incidents", Json::array()}};
        for (const auto& incident : *input.incidents) document["incidents"].push_back(engine::to_json(incident));
        return json_response(200, document, input);
    }
    const bool is_fresh = input.snapshot && input.now - input.snapshot->judged_at <= kStaleAfter;
    if (!is_fresh) {
        return error_response(503, ErrorCode::kUnavailable,
                              input.snapshot ? "the last judgement is too old" : "nothing was judged yet",
                              "Wait a moment; if it stays, see the log of serve.", input);
    }
    if (request.path == "/metrics") return metrics_response(input);
    if (request.path == "/healthz") return json_response(200, Json{{"status", "ok"}}, input);
    return json_response(200, engine::to_json(input.snapshot->status), input);
}

}  // namespace aeterna::app
