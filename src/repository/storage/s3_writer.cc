#include "repository/storage/s3_writer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "repository/storage/checks.h"
#include "repository/storage/s3_replies.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kPartsLimit = 10'000;
constexpr Duration kAbortTimeout = 10s;

// For XML text; an ETag comes from the server and has quotes.
std::string escape_xml(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '&') result += "&amp;";
        else if (c == '<') result += "&lt;";
        else if (c == '>') result += "&gt;";
        else result += c;
    }
    return result;
}

}  // namespace

Result<std::unique_ptr<ObjectWriter>> S3Storage::create(const std::string& name, const env::Context& context) {
    AETERNA_TRY(check(name, context));
    return std::make_unique<Writer>(*this, name);
}

std::string S3Storage::Writer::what() const {
    return fmt::format("write '{}' to {}", name_, storage_.describe());
}

S3Storage::Writer::~Writer() {
    for (const auto& part : on_their_way_) part->thread->request_stop();
    (void)wait_until(0);
    if (upload_id_.empty() || is_done_) return;
    const env::Context soon{storage_.ports_.clock.now() + kAbortTimeout, {}, ""};
    (void)storage_.abort_upload(storage_.key_of(name_), upload_id_, soon);
}

Status S3Storage::Writer::append(std::span<const char> bytes, const env::Context& context) {
    AETERNA_CHECK(!is_done_);
    AETERNA_TRY(check_running(storage_.ports_.clock, context, what()));
    AETERNA_TRY(failure_);
    const std::size_t part_bytes = storage_.options_.part_bytes;
    while (!bytes.empty()) {
        // A full part leaves when more comes, so that what fits into one part stays a plain PUT.
        if (buffer_.size() == part_bytes) AETERNA_TRY(send_part(context));
        if (buffer_.capacity() < part_bytes) buffer_.reserve(part_bytes);
        const std::size_t count = std::min(bytes.size(), part_bytes - buffer_.size());
        buffer_.append(bytes.data(), count);
        bytes = bytes.subspan(count);
    }
    return {};
}

Status S3Storage::Writer::commit(const env::Context& context) {
    AETERNA_CHECK(!is_done_);
    AETERNA_TRY(check_running(storage_.ports_.clock, context, what()));
    AETERNA_TRY(failure_);
    if (upload_id_.empty()) {
        S3Request request;
        request.body = std::move(buffer_);
        is_done_ = true;
        return storage_.put_request(request, name_, PutMode::kIfAbsent, context);
    }
    if (!buffer_.empty()) AETERNA_TRY(send_part(context));
    AETERNA_TRY(wait_until(0));
    return complete(context);
}

Status S3Storage::Writer::begin(const env::Context& context) {
    S3Request request;
    request.method = "POST";
    request.key = storage_.key_of(name_);
    request.query = {{"uploads", ""}};
    mark_ = storage_.add_object_headers(request.headers);
    AETERNA_ASSIGN(const env::HttpResponse response, storage_.send(request, what(), context));
    if (response.status != 200) return storage_.refuse(response, request, what());
    AETERNA_ASSIGN(upload_id_, parse_upload_id(response.body));
    return {};
}

Status S3Storage::Writer::send_part(const env::Context& context) {
    if (upload_id_.empty()) AETERNA_TRY(begin(context));
    if (etags_.size() + on_their_way_.size() >= kPartsLimit) {
        return make_error(ErrorCode::kUsage, fmt::format("{}: more than {} parts", what(), kPartsLimit),
                          "Raise the part size.");
    }
    AETERNA_TRY(wait_until(static_cast<std::size_t>(storage_.options_.parallel_parts) - 1));
    S3Request request;
    request.method = "PUT";
    request.key = storage_.key_of(name_);
    request.query = {{"partNumber", std::to_string(etags_.size() + on_their_way_.size() + 1)},
                     {"uploadId", upload_id_}};
    request.body = std::move(buffer_);
    buffer_ = {};
    on_their_way_.push_back(std::make_unique<Part>());
    Part& part = *on_their_way_.back();
    part.thread = storage_.ports_.threads.start(
        "s3-part", [this, &part, request = std::move(request), context](const std::stop_token& stop) mutable {
            // Stops for the caller's reasons and for the writer's own end.
            std::stop_source both;
            const std::stop_callback from_caller(context.stop, [&] { both.request_stop(); });
            const std::stop_callback from_writer(stop, [&] { both.request_stop(); });
            upload(part, std::move(request), {context.deadline, both.get_token(), context.run_id});
        });
    return {};
}

void S3Storage::Writer::upload(Part& part, S3Request request, const env::Context& context) const {
    if (storage_.options_.object_lock) storage_.add_digest(request);
    const auto response = storage_.send(request, what(), context);
    if (!response) {
        part.outcome = response.error();
    } else if (response->status != 200) {
        Error error = storage_.refuse(*response, request, what());
        if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kIo;  // the upload is gone, not an object
        part.outcome = std::move(error);
    } else {
        part.etag = header_of(*response, "etag").value_or("");
        if (part.etag.empty()) part.outcome = make_error(ErrorCode::kProtocol, what() + ": a part without an ETag");
    }
}

Status S3Storage::Writer::wait_until(std::size_t left) {
    while (on_their_way_.size() > left) {
        const std::unique_ptr<Part> part = std::move(on_their_way_.front());
        on_their_way_.pop_front();
        part->thread->join();
        etags_.push_back(part->etag);
        if (!part->outcome && failure_) failure_ = part->outcome;
    }
    return failure_;
}

Status S3Storage::Writer::complete(const env::Context& context) {
    S3Request request;
    request.method = "POST";
    request.key = storage_.key_of(name_);
    request.query = {{"uploadId", upload_id_}};
    request.may_fail_inside_success = true;
    if (storage_.options_.has_conditional_writes) {
        request.headers.emplace_back("if-none-match", "*");
    } else {
        const auto found = storage_.stat(name_, context);
        if (found) return make_error(ErrorCode::kAlreadyExists, what() + ": the name is taken");
        if (found.error().code != ErrorCode::kNotFound) return found.error();
    }
    request.body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i) {
        request.body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                                    escape_xml(etags_[i]));
    }
    request.body += "</CompleteMultipartUpload>";
    AETERNA_ASSIGN(env::HttpResponse response, storage_.send(request, what(), context));
    if (response.status == 200 && parse_refusal(response.body).code.empty()) {
        is_done_ = true;
        return {};
    }
    if (response.status == 200) response.status = 500;  // an error that came after the good beginning
    return look_after(response, request, context);
}

Status S3Storage::Writer::look_after(const env::HttpResponse& response, const S3Request& request,
                                     const env::Context& context) {
    if (response.status == 404 || response.status == 412) {
        AETERNA_ASSIGN(const bool is_ours, storage_.is_marked(name_, mark_, context));
        if (is_ours) {
            is_done_ = true;
            return {};
        }
    }
    Error error = storage_.refuse(response, request, what());
    if (error.code == ErrorCode::kNotFound) {
        error.code = ErrorCode::kIo;
        error.hint = "Another process swept the upload as unfinished; repeat the command.";
    }
    return error;
}

}  // namespace aeterna::repository
