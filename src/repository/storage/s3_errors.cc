#include "repository/storage/s3_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "repository/storage/s3_replies.h"

namespace aeterna::repository {
namespace {

// S3 refuses signatures that are further from its own time.
constexpr Duration kSkewLimit = 15min;

struct Row {
    std::string_view code;
    ErrorCode error;
    std::string_view hint;
};

constexpr std::string_view kKeysHint = "Check the access key, its secret and the region.";
constexpr std::string_view kExpiredHint = "The temporary credentials have ended; renew them.";
constexpr std::string_view kPolicyHint = "docs/storage.md lists the permissions that each command needs.";
constexpr std::string_view kBucketHint = "Make the bucket first, or check its name and the address.";
constexpr std::string_view kPlaceHint = "Set the region and the address of the place where the bucket lives.";
constexpr std::string_view kSpaceHint = "Free space on the server, raise its quota, or prune.";

constexpr Row kRows[] = {
    {"InvalidAccessKeyId", ErrorCode::kAuthentication, kKeysHint},
    {"SignatureDoesNotMatch", ErrorCode::kAuthentication, kKeysHint},
    {"AuthorizationHeaderMalformed", ErrorCode::kAuthentication, kKeysHint},
    {"ExpiredToken", ErrorCode::kAuthentication, kExpiredHint},
    {"InvalidToken", ErrorCode::kAuthentication, kExpiredHint},
    {"AccessDenied", ErrorCode::kPermission, kPolicyHint},
    {"NoSuchBucket", ErrorCode::kNotFound, kBucketHint},
    {"NoSuchKey", ErrorCode::kNotFound, ""},
    {"PreconditionFailed", ErrorCode::kAlreadyExists, ""},
    {"PermanentRedirect", ErrorCode::kConfiguration, kPlaceHint},
    {"TemporaryRedirect", ErrorCode::kConfiguration, kPlaceHint},
    {"QuotaExceeded", ErrorCode::kNoSpace, kSpaceHint},
    {"XMinioStorageFull", ErrorCode::kNoSpace, kSpaceHint},
    {"InsufficientStorage", ErrorCode::kNoSpace, kSpaceHint},
};

// Answers to HEAD have no body, some servers' others neither: the status has to do.
Row row_of(int status, std::string_view code) {
    const Row* row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.code == code; });
    if (row != std::end(kRows)) return *row;
    switch (status) {
        case 301:
        case 307: return {code, ErrorCode::kConfiguration, kPlaceHint};
        case 401: return {code, ErrorCode::kAuthentication, kKeysHint};
        case 403: return {code, ErrorCode::kPermission, kPolicyHint};
        case 404: return {code, ErrorCode::kNotFound, ""};
        case 412: return {code, ErrorCode::kAlreadyExists, ""};
        case 507: return {code, ErrorCode::kNoSpace, kSpaceHint};
        case 409:
        case 429: return {code, ErrorCode::kUnavailable, ""};
        default: return {code, status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kServer, ""};
    }
}

Error skewed(const std::string& what, Duration ahead) {
    return make_error(ErrorCode::kAuthentication,
                      fmt::format("{}: refused, because this machine's clock is {} {} the S3 server's", what,
                                  format_duration(ahead < Duration(0) ? -ahead : ahead),
                                  ahead < Duration(0) ? "behind" : "ahead of"),
                      "Set the clock (is NTP running?); signatures are only good for 15 minutes.");
}

}  // namespace

Error s3_error(const env::HttpResponse& response, const std::string& what, bool only_reads, WallTime here) {
    const S3Refusal refusal = parse_refusal(response.body);
    const auto there = parse_http_date(header_of(response, "date").value_or(""));
    const Duration ahead = there ? Duration(here - *there) : Duration(0);
    const bool is_far = ahead > kSkewLimit || ahead < -kSkewLimit;
    if (refusal.code == "RequestTimeTooSkewed" || (response.status == 403 && is_far)) return skewed(what, ahead);
    const Row row = row_of(response.status, refusal.code);
    std::string message = fmt::format("{}: the S3 server answered {}", what, response.status);
    if (!refusal.code.empty()) message += fmt::format(" {}", refusal.code);
    if (row.error == ErrorCode::kServer && !refusal.message.empty()) message += fmt::format(" ({})", refusal.message);
    const bool may_have_happened = !only_reads && response.status >= 500 && response.status != 503;
    return make_error(row.error, std::move(message), std::string(row.hint),
                      may_have_happened ? Effect::kUnknown : Effect::kNone);
}

}  // namespace aeterna::repository
