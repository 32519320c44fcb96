// Listing a bucket page by page, and sweeping multipart uploads that nobody completed.
#include <fmt/format.h>

#include "base/strings.h"
#include "repository/storage/checks.h"
#include "repository/storage/s3.h"
#include "repository/storage/s3_replies.h"

namespace aeterna::repository {

Status S3Storage::list(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& found,
                       const env::Context& context) {
    AETERNA_TRY(check_prefix(prefix));
    const std::string what = fmt::format("list {}", describe());
    const std::string base = key_of("");
    std::string last_key;
    std::string token;
    do {
        AETERNA_TRY(check_running(ports_.clock, context, what));
        S3Request request;
        request.query = {{"list-type", "2"}, {"prefix", base + prefix}, {"encoding-type", "url"},
                         {"max-keys", std::to_string(options_.page_entries)}};
        if (!token.empty()) request.query.emplace_back("continuation-token", token);
        AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
        if (response.status != 200) return refuse(response, request, what);
        auto page = parse_listing(response.body);
        if (!page) return wrap_error(std::move(page).error(), what);
        for (const S3Object& object : page->objects) {
            // Prune lives on complete listings: one that jumps back may have left something out.
            if (!object.key.starts_with(base + prefix) || object.key <= last_key) {
                return make_error(ErrorCode::kProtocol, fmt::format("{}: '{}' came out of order after '{}'", what,
                                                                    one_line(object.key), one_line(last_key)));
            }
            last_key = object.key;
            const std::string name = object.key.substr(base.size());
            if (!check_name(name)) continue;  // somebody else's
            if (!found({name, object.bytes, object.modified})) return {};
        }
        token = page->next_token;
    } while (!token.empty());
    return {};
}

Status S3Storage::abort_upload(const std::string& key, const std::string& id, const env::Context& context) {
    const std::string what = fmt::format("abort an upload to {}", describe());
    S3Request request;
    request.method = "DELETE";
    request.key = key;
    request.query = {{"uploadId", id}};
    AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
    if (response.status == 204 || response.status == 200 || response.status == 404) return {};
    return refuse(response, request, what);
}

Result<std::size_t> S3Storage::sweep_unfinished(WallTime older_than, const env::Context& context) {
    const std::string what = fmt::format("list the uploads to {}", describe());
    const std::string base = key_of("");
    std::size_t count = 0;
    S3Uploads page;
    do {
        AETERNA_TRY(check_running(ports_.clock, context, what));
        S3Request request;
        request.query = {{"uploads", ""}, {"prefix", base}, {"encoding-type", "url"},
                         {"max-uploads", std::to_string(options_.page_entries)}};
        if (!page.next_key.empty()) {
            request.query.emplace_back("key-marker", page.next_key);
            request.query.emplace_back("upload-id-marker", page.next_id);
        }
        AETERNA_ASSIGN(const env::HttpResponse response, send(request, what, context));
        if (response.status != 200) return refuse(response, request, what);
        auto parsed = parse_uploads(response.body);
        if (!parsed) return wrap_error(std::move(parsed).error(), what);
        page = std::move(*parsed);
        for (const S3Upload& upload : page.uploads) {
            if (!upload.key.starts_with(base) || !check_name(upload.key.substr(base.size())) ||
                upload.initiated >= older_than) {
                continue;
            }
            AETERNA_TRY(abort_upload(upload.key, upload.id, context));
            ++count;
        }
    } while (!page.next_key.empty());
    return count;
}

}  // namespace aeterna::repository
