// Objects one by one; listing and sweeping are in s3_list.cc, large objects in s3_writer.cc.
#include "repository/storage/s3.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "base/strings.h"
#include "repository/storage/checks.h"
#include "repository/storage/s3_errors.h"
#include "repository/storage/s3_replies.h"

namespace aeterna::repository {
namespace {

// Says whose write made an object; comes back as it was sent.
constexpr const char* kMarkHeader = "x-amz-meta-writer";
// One answer's size: bounds the memory of a read and what a broken transfer costs.
constexpr std::size_t kRangeBytes = 8U << 20;
// An error's text comes instead of the bytes that were asked for.
constexpr std::size_t kErrorRoomBytes = 64U << 10;

std::string md5_base64(std::string_view bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    AETERNA_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_md5(), nullptr) == 1);
    return base64_encode({reinterpret_cast<const char*>(digest), size});
}

Status check_options(const S3Options& options) {
    AETERNA_TRY(check_endpoint(options.endpoint));
    if (!check_prefix(options.prefix) || options.prefix.ends_with('/')) {
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("'{}' is no prefix for a repository", one_line(options.prefix)),
                          "Use letters, digits, '.', '_', '=', '-', with '/' between parts only.");
    }
    const bool is_sane = options.part_bytes > 0 && options.parallel_parts > 0 && options.page_entries > 0 &&
                         options.page_entries <= 1000 && options.retry.attempts > 0;
    if (!is_sane) {
        return make_error(ErrorCode::kConfiguration, "part size, parallel parts or page size are out of range");
    }
    if (options.object_lock && options.object_lock->retention <= Duration(0)) {
        return make_error(ErrorCode::kConfiguration, "an object lock needs a retention");
    }
    return {};
}

// "bytes 1234-4233/10000" begins where it was asked to.
bool starts_at(const env::HttpResponse& response, std::uint64_t offset) {
    return header_of(response, "content-range").value_or("").starts_with(fmt::format("bytes {}-", offset));
}

}  // namespace

Result<std::unique_ptr<S3Storage>> S3Storage::open(const S3Ports& ports, S3Options options) {
    AETERNA_TRY(check_options(options));
    auto plain = make_signed_channel(ports.http, ports.clock, ports.credentials, options.endpoint);
    auto channel = std::make_unique<RetryingChannel>(std::move(plain), ports.clock, ports.random, options.retry);
    return std::unique_ptr<S3Storage>(new S3Storage(ports, std::move(options), std::move(channel)));
}

S3Storage::S3Storage(const S3Ports& ports, S3Options options, std::unique_ptr<S3Channel> channel)
    : ports_(ports), options_(std::move(options)), channel_(std::move(channel)) {}

std::string S3Storage::describe() const {
    const std::string place = "s3://" + options_.endpoint.bucket;
    return options_.prefix.empty() ? place : place + "/" + options_.prefix;
}

Status S3Storage::check(const std::string& name, const env::Context& context) const {
    AETERNA_TRY(check_name(name));
    return check_running(ports_.clock, context, name);
}

std::string S3Storage::key_of(const std::string& name) const {
    return options_.prefix.empty() ? name : options_.prefix + "/" + name;
}

Result<env::HttpResponse> S3Storage::send(S3Request& request, const std::string& what, const env::Context& context) {
    auto response = channel_->send(request, context);
    if (!response) return wrap_error(std::move(response).error(), what);
    return response;
}

Error S3Storage::refuse(const env::HttpResponse& response, const S3Request& request, const std::string& what) const {
    const bool only_reads = request.method == "GET" || request.method == "HEAD";
    Error error = s3_error(response, what, only_reads, ports_.clock.wall_now());
    if (request.had_unknown_attempt && !only_reads) error.effect = Effect::kUnknown;
    return error;
}

std::string S3Storage::add_object_headers(Fields& headers) const {
    const std::uint64_t first = ports_.random.next();
    const std::string mark = fmt::format("{:016x}{:016x}", first, ports_.random.next());
    headers.emplace_back(kMarkHeader, mark);
    if (options_.encryption != S3Encryption::kServersChoice) {
        const bool is_kms = options_.encryption == S3Encryption::kAwsKms;
        headers.emplace_back("x-amz-server-side-encryption", is_kms ? "aws:kms" : "AES256");
        if (is_kms && !options_.kms_key_id.empty()) {
            headers.emplace_back("x-amz-server-side-encryption-aws-kms-key-id", options_.kms_key_id);
        }
    }
    if (options_.object_lock) {
        const auto until = ports_.clock.wall_now() +
                           std::chrono::duration_cast<WallTime::duration>(options_.object_lock->retention);
        headers.emplace_back("x-amz-object-lock-mode",
                             options_.object_lock->is_compliance ? "COMPLIANCE" : "GOVERNANCE");
        headers.emplace_back("x-amz-object-lock-retain-until-date", format_time(until));
    }
    return mark;
}

// The name may be taken by an earlier attempt of the same call, whose answer was lost: also one that libcurl made by
// itself when a kept connection broke.
Result<bool> S3Storage::is_marked(const std::string& name, const std::string& mark, const env::Context& context) {
    S3Request request;
    request.method = "HEAD";
    request.key = key_of(name);
    const std::string what = fmt::format("look at '{}' in {}", name, describe());
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    return response.status == 200 && header_of(response, kMarkHeader) == mark;
}

void S3Storage::add_digest(S3Request& request) {
    request.headers.emplace_back("content-md5", md5_base64(request.body));
}

Status S3Storage::put_request(S3Request& request, const std::string& name, PutMode mode,
                              const env::Context& context) {
    const std::string what = fmt::format("write '{}' to {}", name, describe());
    request.method = "PUT";
    request.key = key_of(name);
    const std::string mark = add_object_headers(request.headers);
    if (options_.object_lock) add_digest(request);
    if (mode == PutMode::kIfAbsent && options_.has_conditional_writes) {
        request.headers.emplace_back("if-none-match", "*");
    } else if (mode == PutMode::kIfAbsent) {
        const auto found = stat(name, context);
        if (found) return make_error(ErrorCode::kAlreadyExists, what + ": the name is taken");
        if (found.error().code != ErrorCode::kNotFound) return found.error();
    }
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status == 200) return {};
    if (response.status == 412) {
        AETERNA_ASSIGN(const bool is_ours, is_marked(name, mark, context));
        if (is_ours) return {};
        return make_error(ErrorCode::kAlreadyExists, what + ": the name is taken");
    }
    return refuse(response, request, what);
}

Status S3Storage::put(const std::string& name, std::span<const char> bytes, PutMode mode,
                      const env::Context& context) {
    AETERNA_TRY(check(name, context));
    S3Request request;
    request.body.assign(bytes.data(), bytes.size());
    return put_request(request, name, mode, context);
}

Result<std::size_t> S3Storage::read(const std::string& name, std::uint64_t offset, std::span<char> into,
                                    const env::Context& context) {
    AETERNA_TRY(check(name, context));
    if (into.empty()) {
        AETERNA_TRY(stat(name, context));
        return std::size_t{0};
    }
    std::size_t filled = 0;
    while (filled < into.size()) {
        const auto part = into.subspan(filled, std::min(kRangeBytes, into.size() - filled));
        AETERNA_ASSIGN(const std::size_t count, read_range(name, offset + filled, part, context));
        filled += count;
        if (count < part.size()) break;
    }
    return filled;
}

Result<std::size_t> S3Storage::read_range(const std::string& name, std::uint64_t offset, std::span<char> into,
                                          const env::Context& context) {
    const std::string what = fmt::format("read '{}' from {}", name, describe());
    S3Request request;
    request.key = key_of(name);
    request.headers.emplace_back("range", fmt::format("bytes={}-{}", offset, offset + into.size() - 1));
    request.response_limit_bytes = into.size() + kErrorRoomBytes;
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status == 416) return std::size_t{0};  // at or past the end; a missing object is 404
    // A server without ranges answers 200 with everything: right only where everything was asked for.
    const bool is_range = response.status == 206 && starts_at(response, offset);
    const bool is_whole = response.status == 200 && offset == 0;
    if (response.status != 200 && response.status != 206) return refuse(response, request, what);
    if ((!is_range && !is_whole) || response.body.size() > into.size()) {
        return make_error(ErrorCode::kProtocol, what + ": the S3 server answered with another range than asked for");
    }
    std::copy(response.body.begin(), response.body.end(), into.begin());
    return response.body.size();
}

Result<ObjectInfo> S3Storage::stat(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    const std::string what = fmt::format("look at '{}' in {}", name, describe());
    S3Request request;
    request.method = "HEAD";
    request.key = key_of(name);
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status != 200) return refuse(response, request, what);
    const auto bytes = to_integer(header_of(response, "content-length").value_or(""));
    const auto modified = parse_http_date(header_of(response, "last-modified").value_or(""));
    if (!bytes || *bytes < 0 || !modified) {
        return make_error(ErrorCode::kProtocol, what + ": no proper Content-Length or Last-Modified in the answer");
    }
    return ObjectInfo{name, static_cast<std::uint64_t>(*bytes), *modified};
}

Status S3Storage::remove(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    const std::string what = fmt::format("remove '{}' from {}", name, describe());
    S3Request request;
    request.method = "DELETE";
    request.key = key_of(name);
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status == 204 || response.status == 200) return {};
    // Some servers say that it was missing; a missing bucket is another matter.
    if (response.status == 404 && parse_refusal(response.body).code != "NoSuchBucket") return {};
    return refuse(response, request, what);
}

Result<WallTime> S3Storage::now(const env::Context& context) {
    AETERNA_TRY(check_running(ports_.clock, context, "now"));
    const std::string what = fmt::format("ask {} for the time", describe());
    S3Request request;
    request.method = "HEAD";
    request.key = key_of("clock");  // need not be there: every answer has a date
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status != 200 && response.status != 404) return refuse(response, request, what);
    const auto date = parse_http_date(header_of(response, "date").value_or(""));
    if (!date) return make_error(ErrorCode::kProtocol, what + ": no proper Date in the answer");
    return *date;
}

Status S3Storage::verify_conditional_writes(const env::Context& context) {
    if (!options_.has_conditional_writes) return {};
    const std::string name = fmt::format("probe/if-none-match-{:016x}", ports_.random.next());
    const std::string_view first = "first";
    const std::string_view second = "second";
    AETERNA_TRY(put(name, first, PutMode::kIfAbsent, context));
    const Status again = put(name, second, PutMode::kIfAbsent, context);
    AETERNA_TRY(remove(name, context));
    if (!again && again.error().code == ErrorCode::kAlreadyExists) return {};
    if (!again) return again;
    return make_error(ErrorCode::kConfiguration,
                      fmt::format("the server of {} ignores 'If-None-Match: *'", describe()),
                      "Say so in the configuration (conditional writes off); then never begin two repositories "
                      "at the same place at the same time.");
}

}  // namespace aeterna::repository
