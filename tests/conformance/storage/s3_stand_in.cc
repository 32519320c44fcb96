#include "s3_stand_in.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "s3_signature_check.h"

namespace aeterna::repository::testing {
namespace {

// The one piece of metadata that is kept.
constexpr const char* kMarkHeader = "x-amz-meta-writer";

std::string query_value(const env::ServerRequest& request, const std::string& name) {
    const auto found = request.query.find(name);
    return found == request.query.end() ? "" : found->second;
}

std::string header_value(const env::ServerRequest& request, const std::string& name) {
    const auto found = request.headers.find(name);
    return found == request.headers.end() ? "" : found->second;
}

std::string http_date(WallTime time) {
    static const char* const kDays[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char* const kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::string text = format_time(time);  // 2026-03-01T10:00:00.123Z
    const auto days = std::chrono::duration_cast<std::chrono::hours>(time.time_since_epoch()).count() / 24;
    return fmt::format("{}, {} {} {} {} GMT", kDays[days % 7], text.substr(8, 2),
                       kMonths[std::stoi(text.substr(5, 2)) - 1], text.substr(0, 4), text.substr(11, 8));
}

// The adapter's library cuts ranges out of any body that it is given, so an error to a ranged request has none.
env::ServerResponse error(const env::ServerRequest& request, int status, const std::string& code) {
    env::ServerResponse response;
    response.status = status;
    response.content_type = "application/xml";
    if (!request.headers.contains("range")) {
        response.body = fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>no</Message></Error>", code);
    }
    return response;
}

env::ServerResponse answer(int status) {
    env::ServerResponse response;
    response.status = status;
    return response;
}

env::ServerResponse xml(std::string body) {
    env::ServerResponse response;
    response.content_type = "application/xml";
    response.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + std::move(body);
    return response;
}

}  // namespace

S3StandIn::S3StandIn(const env::Env& env, StandInOptions options) : env_(env), options_(std::move(options)) {
    for (int attempt = 0; attempt < 200 && server_ == nullptr; ++attempt) {
        endpoint_ = {"127.0.87." + std::to_string(1 + env.random.next() % 250),
                     20000 + static_cast<int>(env.random.next() % 10000)};
        auto server = env.http_listener.serve(endpoint_, [this](const Request& request) { return handle(request); });
        if (server) server_ = std::move(*server);
    }
    EXPECT_NE(server_, nullptr) << "no free port";
}

S3StandIn::Response S3StandIn::refuse_unsigned(const Request& request) const {
    const auto sent = parse_time([&] {
        std::string text = header_value(request, "x-amz-date");  // 20150830T123600Z
        for (const std::size_t at : {4U, 7U, 13U, 16U}) {
            if (text.size() > at) text.insert(at, at < 10 ? "-" : ":");
        }
        return text;
    }());
    if (!sent) return error(request, 403, "AccessDenied");
    const Duration age = env_.clock.wall_now() - *sent;
    if (age > 15min || age < -15min) return error(request, 403, "RequestTimeTooSkewed");
    const SignatureCheck check{options_.access_key_id, options_.secret, options_.region};
    const std::string reason = check.find_fault(request);
    return reason.empty() ? answer(0) : error(request, 403, reason);
}

S3StandIn::Response S3StandIn::refuse_body(const Request& request) const {
    const std::string promised = header_value(request, "x-amz-content-sha256");
    if (promised != "UNSIGNED-PAYLOAD" && promised != digest_hex(request.body)) {
        return error(request, 400, "XAmzContentSHA256Mismatch");
    }
    return answer(0);
}

S3StandIn::Response S3StandIn::handle(const Request& request) {
    Response response = refuse_unsigned(request);
    if (response.status == 0) response = refuse_body(request);
    if (response.status == 0) {
        const std::string root = "/" + options_.bucket;
        const std::lock_guard lock(mutex_);
        if (request.path == root || request.path == root + "/") {
            response = route(request, "");
        } else if (request.path.starts_with(root + "/")) {
            response = route(request, request.path.substr(root.size() + 1));
        } else {
            response = error(request, 404, "NoSuchBucket");
        }
    }
    response.headers.emplace_back("Date", http_date(env_.clock.wall_now()));
    return response;
}

S3StandIn::Response S3StandIn::route(const Request& request, const std::string& key) {
    const bool has_upload = request.query.contains("uploadId");
    if (key.empty()) return request.query.contains("uploads") ? list_uploads(request) : list(request);
    if (request.method == "GET" || request.method == "HEAD") return get(request, key);
    if (request.method == "PUT") return has_upload ? put_part(request) : put(request, key);
    if (request.method == "POST" && request.query.contains("uploads")) return begin(request, key);
    if (request.method == "POST" && has_upload) return complete(request, key);
    if (request.method == "DELETE" && has_upload) {
        if (uploads_.erase(query_value(request, "uploadId")) == 0) return error(request, 404, "NoSuchUpload");
    } else if (request.method == "DELETE") {
        objects_.erase(key);
    } else {
        return error(request, 405, "MethodNotAllowed");
    }
    return answer(204);
}

S3StandIn::Response S3StandIn::put(const Request& request, const std::string& key) {
    const bool is_conditional = header_value(request, "if-none-match") == "*" && options_.knows_conditional_writes;
    if (is_conditional && objects_.contains(key)) return error(request, 412, "PreconditionFailed");
    objects_[key] = {request.body, env_.clock.wall_now(), header_value(request, kMarkHeader)};
    Response response;
    response.headers.emplace_back("ETag", "\"" + digest_hex(request.body).substr(0, 32) + "\"");
    return response;
}

S3StandIn::Response S3StandIn::get(const Request& request, const std::string& key) {
    const auto found = objects_.find(key);
    if (found == objects_.end()) return error(request, 404, "NoSuchKey");
    Response response;
    response.content_type = "application/octet-stream";
    response.headers.emplace_back("Last-Modified", http_date(found->second.modified));
    response.headers.emplace_back(kMarkHeader, found->second.mark);
    const std::string range = header_value(request, "range");  // bytes=5-9
    if (!range.empty()) {
        if (to_integer(range.substr(6, range.find('-') - 6)).value_or(0) >=
            static_cast<std::int64_t>(found->second.bytes.size())) {
            return error(request, 416, "InvalidRange");
        }
        response.status = 206;  // cut out by the library
    }
    response.body = found->second.bytes;
    return response;
}

S3StandIn::Response S3StandIn::list(const Request& request) {
    const std::string prefix = query_value(request, "prefix");
    const std::size_t limit = std::min<std::size_t>(
        options_.page_limit, static_cast<std::size_t>(to_integer(query_value(request, "max-keys")).value_or(1000)));
    std::string body = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                       "<EncodingType>url</EncodingType>";
    auto object = objects_.upper_bound(query_value(request, "continuation-token"));
    std::size_t count = 0;
    std::string last;
    for (; object != objects_.end() && count < limit; ++object) {
        if (!object->first.starts_with(prefix)) continue;
        ++count;
        last = object->first;
        body += fmt::format("<Contents><Key>{}</Key><LastModified>{}</LastModified><Size>{}</Size></Contents>",
                            SignatureCheck::encode(last, true), format_time(object->second.modified),
                            object->second.bytes.size());
    }
    const bool is_more = object != objects_.end();
    body += fmt::format("<IsTruncated>{}</IsTruncated>", is_more);
    if (is_more) body += fmt::format("<NextContinuationToken>{}</NextContinuationToken>", last);
    return xml(body + "</ListBucketResult>");
}

S3StandIn::Response S3StandIn::list_uploads(const Request& request) {
    std::string body = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>";
    for (const auto& [id, upload] : uploads_) {
        if (!upload.key.starts_with(query_value(request, "prefix"))) continue;
        body += fmt::format("<Upload><Key>{}</Key><UploadId>{}</UploadId><Initiated>{}</Initiated></Upload>",
                            upload.key, id, format_time(upload.initiated));
    }
    return xml(body + "</ListMultipartUploadsResult>");
}

S3StandIn::Response S3StandIn::begin(const Request& request, const std::string& key) {
    const std::string id = "upload-" + std::to_string(++next_upload_);
    uploads_[id] = {key, env_.clock.wall_now(), header_value(request, kMarkHeader), {}};
    const std::string root = "InitiateMultipartUploadResult";
    return xml(fmt::format("<{0}><UploadId>{1}</UploadId></{0}>", root, id));
}

S3StandIn::Response S3StandIn::put_part(const Request& request) {
    const auto upload = uploads_.find(query_value(request, "uploadId"));
    if (upload == uploads_.end()) return error(request, 404, "NoSuchUpload");
    upload->second.parts[static_cast<int>(to_integer(query_value(request, "partNumber")).value_or(0))] = request.body;
    Response response;
    response.headers.emplace_back("ETag", "\"" + digest_hex(request.body).substr(0, 32) + "\"");
    return response;
}

S3StandIn::Response S3StandIn::complete(const Request& request, const std::string& key) {
    const auto upload = uploads_.find(query_value(request, "uploadId"));
    if (upload == uploads_.end()) return error(request, 404, "NoSuchUpload");
    const bool is_conditional = header_value(request, "if-none-match") == "*" && options_.knows_conditional_writes;
    if (is_conditional && objects_.contains(key)) return error(request, 412, "PreconditionFailed");
    std::string bytes;
    for (const auto& [number, part] : upload->second.parts) {
        const std::string wanted = fmt::format("<PartNumber>{}</PartNumber><ETag>\"{}\"</ETag>", number,
                                               digest_hex(part).substr(0, 32));
        if (request.body.find(wanted) == std::string::npos) return error(request, 400, "InvalidPart");
        bytes += part;
    }
    objects_[key] = {std::move(bytes), env_.clock.wall_now(), upload->second.mark};
    uploads_.erase(upload);
    return xml("<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>");
}

}  // namespace aeterna::repository::testing
