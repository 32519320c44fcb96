// AWS Signature Version 4 as S3 wants it: the path encoded once and not normalised, every given header signed. Pure
// functions; facts: "Signature Calculations for the Authorization Header" in the S3 API reference.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/time.h"

namespace aeterna::repository {

// Stands in for the payload's hash where only TLS protects the body.
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

using Fields = std::vector<std::pair<std::string, std::string>>;

struct SigningKey {
    std::string access_key_id;
    Secret secret_access_key;
};

struct SigningScope {
    std::string region;
    std::string service = "s3";
};

struct SignableRequest {
    std::string method = "GET";
    std::string path = "/";    // decoded
    Fields query;              // decoded, in any order
    Fields headers;            // all that is to be signed, "host" and "x-amz-date" among them
    std::string payload_hash;  // hex SHA-256, or kUnsignedPayload
};

// Sorted and encoded: also what goes into the URL, so that both sides sign the same text.
[[nodiscard]] std::string canonical_query(const Fields& query);
[[nodiscard]] std::string canonical_request(const SignableRequest& request);
// "20150830T123600Z"
[[nodiscard]] std::string signing_time(WallTime time);
// The value of the Authorization header.
[[nodiscard]] std::string authorization(const SignableRequest& request, const SigningScope& scope,
                                        const SigningKey& key, WallTime time);

// Lower-case hex, as x-amz-content-sha256 wants it.
[[nodiscard]] std::string sha256_hex(std::span<const char> bytes);

}  // namespace aeterna::repository
