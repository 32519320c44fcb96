#include "repository/storage/s3_replies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "base/url.h"
#include "repository/storage/xml.h"

namespace aeterna::repository {
namespace {

Error malformed(std::string_view what) {
    return make_error(ErrorCode::kProtocol, fmt::format("an answer of the S3 server lacks {}", what));
}

Result<XmlNode> parse_root(std::string_view body, std::string_view name) {
    AETERNA_ASSIGN(XmlNode root, parse_xml(body));
    if (root.name != name) return malformed(fmt::format("'{}' (it is '{}')", name, one_line(root.name)));
    return root;
}

// Keys come encoded because XML cannot carry every byte ("encoding-type=url").
Result<S3Object> parse_object(const XmlNode& node, bool is_encoded) {
    S3Object object;
    object.key = is_encoded ? url_decode(node.text_of("Key")) : node.text_of("Key");
    const auto bytes = to_integer(node.text_of("Size"));
    const auto modified = parse_time(node.text_of("LastModified"));
    if (object.key.empty() || !bytes || *bytes < 0 || !modified) {
        return malformed("a proper Key, Size or LastModified");
    }
    object.bytes = static_cast<std::uint64_t>(*bytes);
    object.modified = *modified;
    return object;
}

// Two decimal digits at `at`, or -1.
int two_digits(std::string_view text, std::size_t at) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
    return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

}  // namespace

Result<S3Listing> parse_listing(std::string_view body) {
    AETERNA_ASSIGN(const XmlNode root, parse_root(body, "ListBucketResult"));
    const bool is_encoded = root.text_of("EncodingType") == "url";
    S3Listing listing;
    for (const XmlNode& node : root.children) {
        if (node.name != "Contents") continue;
        AETERNA_ASSIGN(S3Object object, parse_object(node, is_encoded));
        listing.objects.push_back(std::move(object));
    }
    const std::string& truncated = root.text_of("IsTruncated");
    if (truncated != "true" && truncated != "false") return malformed("a proper IsTruncated");
    if (truncated == "false") return listing;
    listing.next_token = root.text_of("NextContinuationToken");
    if (listing.next_token.empty()) return malformed("NextContinuationToken");
    return listing;
}

Result<S3Uploads> parse_uploads(std::string_view body) {
    AETERNA_ASSIGN(const XmlNode root, parse_root(body, "ListMultipartUploadsResult"));
    const bool is_encoded = root.text_of("EncodingType") == "url";
    S3Uploads result;
    for (const XmlNode& node : root.children) {
        if (node.name != "Upload") continue;
        const std::string& key = node.text_of("Key");
        const auto initiated = parse_time(node.text_of("Initiated"));
        if (key.empty() || node.text_of("UploadId").empty() || !initiated) {
            return malformed("a proper Key, UploadId or Initiated");
        }
        result.uploads.push_back({is_encoded ? url_decode(key) : key, node.text_of("UploadId"), *initiated});
    }
    if (root.text_of("IsTruncated") != "true") return result;
    const std::string& next_key = root.text_of("NextKeyMarker");
    if (next_key.empty()) return malformed("NextKeyMarker");
    result.next_key = is_encoded ? url_decode(next_key) : next_key;
    result.next_id = root.text_of("NextUploadIdMarker");
    return result;
}

Result<std::string> parse_upload_id(std::string_view body) {
    AETERNA_ASSIGN(const XmlNode root, parse_root(body, "InitiateMultipartUploadResult"));
    if (root.text_of("UploadId").empty()) return malformed("UploadId");
    return root.text_of("UploadId");
}

S3Refusal parse_refusal(std::string_view body) {
    const auto root = parse_xml(body);
    if (!root) return {};
    // STS puts the same inside an ErrorResponse.
    const XmlNode* error = root->name == "Error" ? &*root : root->find("Error");
    if (error == nullptr || (root->name != "Error" && root->name != "ErrorResponse")) return {};
    return {one_line(error->text_of("Code"), 80), one_line(error->text_of("Message"))};
}

std::optional<WallTime> parse_http_date(std::string_view text) {
    static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    // 0         1         2
    // Fri, 24 May 2013 00:00:00 GMT
    if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return std::nullopt;
    const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
    const auto year = to_integer(text.substr(12, 4));
    const int parts[] = {two_digits(text, 5), two_digits(text, 17), two_digits(text, 20), two_digits(text, 23)};
    if (month == kMonths.end() || !year || *year < 1970 || *std::min_element(parts, parts + 4) < 0) return std::nullopt;
    const auto time = parse_time(fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", *year,
                                             month - kMonths.begin() + 1, parts[0], parts[1], parts[2], parts[3]));
    if (!time) return std::nullopt;
    return *time;
}

std::optional<std::string> header_of(const env::HttpResponse& response, const std::string& name) {
    const auto found = response.headers.find(name);
    if (found == response.headers.end()) return std::nullopt;
    return found->second;
}

}  // namespace aeterna::repository
