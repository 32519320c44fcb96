#include "services/prometheus.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/strings.h"
#include "base/url.h"

namespace aeterna::services {
namespace {

Error wrong(const std::string& what, const std::string& detail) {
    return make_error(ErrorCode::kProtocol, fmt::format("{}: {}", what, detail));
}

// [ <Unix time>, "<value>" ]
Status read_value(const Json* pair, const std::string& what, PrometheusSample& sample) {
    if (pair == nullptr || !pair->is_array() || pair->size() != 2 || !(*pair)[0].is_number() ||
        !(*pair)[1].is_string()) {
        return wrong(what, "a sample without time and value");
    }
    const auto value = to_number((*pair)[1].get<std::string>());
    if (!value) return wrong(what, "a value that is no number");
    sample.time_seconds = (*pair)[0].get<double>();
    sample.value = *value;
    return {};
}

Result<std::vector<PrometheusSample>> read_samples(const Json& document, const std::string& what) {
    const Json* data = find_member(document, "data");
    const Json* result = data != nullptr ? find_member(*data, "result") : nullptr;
    const std::string type = data != nullptr ? find_string(*data, "resultType").value_or("") : "";
    std::vector<PrometheusSample> samples;
    if (type == "scalar") {
        AETERNA_TRY(read_value(result, what, samples.emplace_back()));
        return samples;
    }
    if (type != "vector" || result == nullptr || !result->is_array()) {
        return wrong(what, "neither a vector nor a scalar");
    }
    for (const Json& entry : *result) {
        PrometheusSample& sample = samples.emplace_back();
        AETERNA_TRY(read_value(find_member(entry, "value"), what, sample));
        const Json* metric = find_member(entry, "metric");
        if (metric == nullptr || !metric->is_object()) return wrong(what, "a sample without labels");
        for (const auto& [name, value] : metric->items()) {
            if (!value.is_string()) return wrong(what, "a label that is no text");
            sample.labels[name] = value.get<std::string>();
        }
    }
    return samples;
}

}  // namespace

Prometheus::Prometheus(std::string base_url, const env::Env& env)
    : base_url_(without_final_slashes(std::move(base_url))), env_(env) {}

Result<std::vector<PrometheusSample>> Prometheus::query(const std::string& expression,
                                                        const env::Context& context) {
    env::HttpRequest request;
    request.url = fmt::format("{}/api/v1/query?query={}", base_url_, url_encode(expression));
    AETERNA_ASSIGN(const env::HttpResponse response, env_.http.send(request, context));
    const std::string what = fmt::format("Prometheus at '{}'", base_url_);
    if (response.status == 503) {
        return make_error(ErrorCode::kUnavailable,
                          fmt::format("{}: status 503: {}", what, one_line(response.body)));
    }
    const auto document = parse_json(response.body, what);
    if (document && find_string(*document, "status") == "error") {
        return make_error(ErrorCode::kServer,
                          fmt::format("{}: {}", what, one_line(find_string(*document, "error").value_or(""))));
    }
    if (response.status != 200) {
        return make_error(ErrorCode::kServer, fmt::format("{}: status {}", what, response.status));
    }
    if (!document) return document.error();
    if (find_string(*document, "status") != "success") return wrong(what, "neither success nor error");
    return read_samples(*document, what);
}

}  // namespace aeterna::services
