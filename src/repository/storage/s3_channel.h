// S3Channel: one request to one bucket, signed and sent. What to do with the answer is the driver's business; trying
// again is the decorator's (retrying.h), which signs each attempt anew by coming through here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "env/clock.h"
#include "env/net.h"
#include "repository/storage/s3_credentials.h"
#include "repository/storage/sigv4.h"

namespace aeterna::repository {

struct S3Request {
    std::string method = "GET";
    std::string key;  // empty: the bucket itself
    Fields query;
    Fields headers;
    std::string body;
    std::size_t response_limit_bytes = 16U << 20;
    bool may_fail_inside_success = false;  // status 200 and an <Error> as the body (CompleteMultipartUpload)

    // Set by the channels.
    std::string body_sha256;            // computed once, for all attempts
    bool had_unknown_attempt = false;   // an earlier attempt may have taken effect
};

// Any answer of the server is a response; errors are those of the way there. Thread-safe; one request at a time is
// one thread's.
class S3Channel {
  public:
    virtual ~S3Channel() = default;
    [[nodiscard]] virtual Result<env::HttpResponse> send(S3Request& request, const env::Context& context) = 0;
};

struct S3Endpoint {
    std::string url;  // "https://s3.eu-central-1.amazonaws.com"; empty: AWS's own of the region
    std::string region = "us-east-1";
    std::string bucket;
    bool path_style = false;     // https://host/bucket/key instead of https://bucket.host/key
    bool sign_payload = true;    // false: only over https, where TLS protects the body
    env::TlsOptions tls;         // custom CA, client certificate
};

// kConfiguration for an address, region or bucket that cannot be.
Status check_endpoint(const S3Endpoint& endpoint);

// `endpoint` must have passed check_endpoint; the ports and the source outlive the channel.
[[nodiscard]] std::unique_ptr<S3Channel> make_signed_channel(env::HttpClient& http, const env::Clock& clock,
                                                             CredentialSource& credentials, S3Endpoint endpoint);

}  // namespace aeterna::repository
