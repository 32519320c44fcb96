#include "repository/storage/s3_channel.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "base/url.h"
#include "repository/storage/s3_replies.h"

namespace aeterna::repository {
namespace {

struct Address {
    std::string scheme;     // "https"
    std::string authority;  // as the Host header has it: without the scheme's own port
};

Address split_url(const S3Endpoint& endpoint) {
    std::string url = endpoint.url;
    if (url.empty()) url = fmt::format("https://s3.{}.amazonaws.com", endpoint.region);
    url = without_final_slashes(std::move(url));
    const std::size_t mark = url.find("://");
    if (mark == std::string::npos) return {};
    Address address{url.substr(0, mark), url.substr(mark + 3)};
    const std::string_view own_port = address.scheme == "https" ? ":443" : ":80";
    if (address.authority.ends_with(own_port)) {
        address.authority.resize(address.authority.size() - own_port.size());
    }
    return address;
}

bool consists_of(std::string_view text, std::string_view others) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    });
}

class SignedChannel final : public S3Channel {
  public:
    SignedChannel(env::HttpClient& http, const env::Clock& clock, CredentialSource& credentials, S3Endpoint endpoint)
        : http_(http), clock_(clock), credentials_(credentials), endpoint_(std::move(endpoint)) {
        const Address address = split_url(endpoint_);
        host_ = endpoint_.path_style ? address.authority : endpoint_.bucket + "." + address.authority;
        origin_ = address.scheme + "://" + host_;
    }

    Result<env::HttpResponse> send(S3Request& request, const env::Context& context) override {
        if (request.body_sha256.empty()) {
            request.body_sha256 = endpoint_.sign_payload ? sha256_hex(request.body) : std::string(kUnsignedPayload);
        }
        auto response = send_once(request, context);
        if (!response || (response->status != 400 && response->status != 403)) return response;
        const std::string code = parse_refusal(response->body).code;
        if (code != "ExpiredToken" && code != "InvalidToken" && code != "TokenRefreshRequired") return response;
        credentials_.forget();
        return send_once(request, context);
    }

  private:
    Result<env::HttpResponse> send_once(S3Request& request, const env::Context& context) {
        AETERNA_ASSIGN(const S3Credentials credentials, credentials_.get(context));
        const WallTime now = clock_.wall_now();
        SignableRequest signable{request.method, path_of(request), request.query, request.headers,
                                 request.body_sha256};
        signable.headers.emplace_back("x-amz-content-sha256", request.body_sha256);
        signable.headers.emplace_back("x-amz-date", signing_time(now));
        if (!credentials.session_token.empty()) {
            signable.headers.emplace_back("x-amz-security-token", credentials.session_token.reveal());
        }
        env::HttpRequest http;
        http.method = request.method;
        http.url = origin_ + url_encode(signable.path, true);
        if (!request.query.empty()) http.url += "?" + canonical_query(request.query);
        http.headers = signable.headers;
        http.tls = endpoint_.tls;
        http.response_limit_bytes = request.response_limit_bytes;
        signable.headers.emplace_back("host", host_);
        http.headers.emplace_back(
            "Authorization", authorization(signable, {endpoint_.region, "s3"},
                                           {credentials.access_key_id, credentials.secret_access_key}, now));
        // Not signed: the adapter would take a body without a type for JSON.
        if (!request.body.empty()) http.headers.emplace_back("Content-Type", "application/octet-stream");
        http.body.swap(request.body);  // lent, not copied: a part has megabytes
        auto response = http_.send(http, context);
        http.body.swap(request.body);
        return response;
    }

    [[nodiscard]] std::string path_of(const S3Request& request) const {
        const std::string bucket = endpoint_.path_style ? "/" + endpoint_.bucket : "";
        return request.key.empty() && !bucket.empty() ? bucket : bucket + "/" + request.key;
    }

    env::HttpClient& http_;
    const env::Clock& clock_;
    CredentialSource& credentials_;
    const S3Endpoint endpoint_;
    std::string host_;
    std::string origin_;
};

}  // namespace

Status check_endpoint(const S3Endpoint& endpoint) {
    const Address address = split_url(endpoint);
    const bool is_http = address.scheme == "http";
    if ((!is_http && address.scheme != "https") || address.authority.empty() ||
        !consists_of(address.authority, "-._:[]")) {
        // What stands before an '@' may be a password.
        const std::string shown = endpoint.url.find('@') == std::string::npos ? one_line(endpoint.url) : "…@…";
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' is no address of an S3 server", shown),
                          "Write it as https://host[:port], without a path, a user or a password.");
    }
    if (endpoint.bucket.size() < 3 || endpoint.bucket.size() > 63 || !consists_of(endpoint.bucket, "-._")) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("'{}' is no name of a bucket", one_line(endpoint.bucket)));
    }
    if (endpoint.region.empty() || !consists_of(endpoint.region, "-")) {
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' is no region", one_line(endpoint.region)));
    }
    if (is_http && !endpoint.sign_payload) {
        return make_error(ErrorCode::kConfiguration, "an unsigned payload over plain http is protected by nothing",
                          "Use https, or let payloads be signed.");
    }
    return {};
}

std::unique_ptr<S3Channel> make_signed_channel(env::HttpClient& http, const env::Clock& clock,
                                               CredentialSource& credentials, S3Endpoint endpoint) {
    return std::make_unique<SignedChannel>(http, clock, credentials, std::move(endpoint));
}

}  // namespace aeterna::repository
