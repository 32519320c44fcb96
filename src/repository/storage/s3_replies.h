// S3's answers as values. Anything that is not as documented is kProtocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "env/net.h"

namespace aeterna::repository {

struct S3Object {
    std::string key;
    std::uint64_t bytes = 0;
    WallTime modified{};
};

struct S3Listing {
    std::vector<S3Object> objects;
    std::string next_token;  // empty: this was the last page
};

struct S3Upload {
    std::string key;
    std::string id;
    WallTime initiated{};
};

struct S3Uploads {
    std::vector<S3Upload> uploads;
    std::string next_key;  // both empty: this was the last page
    std::string next_id;
};

[[nodiscard]] Result<S3Listing> parse_listing(std::string_view body);
[[nodiscard]] Result<S3Uploads> parse_uploads(std::string_view body);
[[nodiscard]] Result<std::string> parse_upload_id(std::string_view body);

struct S3Refusal {
    std::string code;  // "SlowDown", "NoSuchKey"; empty where the answer has none
    std::string message;
};
// Also of an answer with status 200 whose body is an error after all.
[[nodiscard]] S3Refusal parse_refusal(std::string_view body);

// "Fri, 24 May 2013 00:00:00 GMT", the one form that HTTP still allows to be sent.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);
// The header's value, or nothing.
[[nodiscard]] std::optional<std::string> header_of(const env::HttpResponse& response, const std::string& name);

}  // namespace aeterna::repository
