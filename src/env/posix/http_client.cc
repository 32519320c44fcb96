// HTTP over libcurl. One pool entry = one multi handle with one easy handle, used by one thread at a time and
// kept per origin, so that connections are reused. The multi handle lets a stop request end a transfer at once.
// An error after the request may have left gives effect kUnknown for all methods but GET and HEAD: libcurl
// repeats a request by itself when a reused connection proves dead. A body without a Content-Type is JSON.
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "base/check.h"
#include "base/strings.h"
#include "env/posix/errors.h"
#include "env/posix/ports.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

constexpr std::size_t kIdlePerOrigin = 8;
constexpr std::size_t kIdleTotal = 128;
constexpr long kPollMs = 1000;
constexpr Duration kLongestTransfer = 24h;

struct Transfer {
    Transfer() : multi(curl_multi_init()), easy(curl_easy_init()) {
        AETERNA_CHECK(multi != nullptr && easy != nullptr);
    }
    ~Transfer() {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    CURLM* multi;
    CURL* easy;
};

struct HeaderList {
    ~HeaderList() { curl_slist_free_all(list); }
    void add(const std::string& line) { list = curl_slist_append(list, line.c_str()); }
    curl_slist* list = nullptr;
};

struct Sink {
    HttpResponse response;
    std::size_t limit_bytes = 0;
    bool is_over_limit = false;
    bool has_whole_head = false;  // libcurl takes a head that is cut off for a whole one
    char message[CURL_ERROR_SIZE] = {};
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    Sink& sink = *static_cast<Sink*>(user);
    if (sink.response.body.size() + size * count > sink.limit_bytes) {
        sink.is_over_limit = true;
        return 0;
    }
    sink.response.body.append(data, size * count);
    return size * count;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
    Sink& sink = *static_cast<Sink*>(user);
    const std::string_view line(data, size * count);
    if (line.substr(0, 5) == "HTTP/") {  // again after "100 Continue"
        sink.response.headers.clear();
        sink.has_whole_head = false;
    }
    // Trailers come here too, after the body and without an empty line.
    if (trim(line).empty()) sink.has_whole_head = true;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return size * count;
    std::string& value = sink.response.headers[lower(line.substr(0, colon))];
    if (!value.empty()) value += ", ";
    value += trim(line.substr(colon + 1));
    return size * count;
}

// "http://host:port" without user, path and query: what the pool and messages may know.
struct Url {
    std::string origin;
    std::string path;
};

Result<Url> inspect_url(const std::string& url) {
    const bool is_http = url.rfind("http://", 0) == 0;
    if (!is_http && url.rfind("https://", 0) != 0) {
        // What stands before an '@' may be a password.
        const std::string shown = url.find('@') == std::string::npos ? one_line(url) : "…@…";
        return make_error(ErrorCode::kConfiguration,
                          fmt::format("'{}' is no http or https address", shown));
    }
    const std::size_t start = url.find("//") + 2;
    const std::size_t end = std::min(url.find_first_of("/?#", start), url.size());
    std::string authority = url.substr(start, end - start);
    if (const std::size_t at = authority.rfind('@'); at != std::string::npos) authority.erase(0, at + 1);
    const std::string rest = url.substr(end, url.find_first_of("?#", end) - end);
    return Url{fmt::format("{}://{}", is_http ? "http" : "https", authority), rest.empty() ? "/" : rest};
}

class Pool {
  public:
    std::unique_ptr<Transfer> take(const std::string& origin) {
        const std::lock_guard lock(mutex_);
        auto& idle = idle_[origin];
        if (idle.empty()) return std::make_unique<Transfer>();
        auto transfer = std::move(idle.back());
        idle.pop_back();
        --total_;
        return transfer;
    }

    void give_back(const std::string& origin, std::unique_ptr<Transfer> transfer) {
        const std::lock_guard lock(mutex_);
        auto& idle = idle_[origin];
        if (idle.size() >= kIdlePerOrigin || total_ >= kIdleTotal) return;
        idle.push_back(std::move(transfer));
        ++total_;
    }

  private:
    std::mutex mutex_;
    std::map<std::string, std::vector<std::unique_ptr<Transfer>>> idle_;
    std::size_t total_ = 0;
};

Status add_headers(const HttpRequest& request, HeaderList& headers) {
    headers.add("Expect:");  // no wait for "100 Continue"
    bool has_type = false;
    for (const auto& [name, value] : request.headers) {
        if ((name + value).find_first_of(std::string("\r\n\0", 3)) != std::string::npos) {
            return make_error(ErrorCode::kUsage, fmt::format("header '{}' has a line end in it", one_line(name)));
        }
        has_type = has_type || lower(name) == "content-type";
        headers.add(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
    }
    if (!has_type) headers.add(request.body.empty() ? "Content-Type:" : "Content-Type: application/json");
    return {};
}

void set_guards(CURL* easy, const Context& context) {
    const Duration left = std::min(context.deadline - std::chrono::steady_clock::now(), kLongestTransfer);
    const long left_ms = std::max<long>(1, std::chrono::ceil<std::chrono::milliseconds>(left).count());
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, left_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, left_ms);
}

void set_request(CURL* easy, const HttpRequest& request) {
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    if (request.method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET" || !request.body.empty()) {
        if (!request.body.empty() || request.method != "DELETE") {
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
            curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
        }
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
    if (!request.user.empty()) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, request.user.c_str());
        curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.reveal().c_str());
    }
    const TlsOptions& tls = request.tls;
    if (!tls.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, tls.ca_file.c_str());
    if (!tls.certificate_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLCERT, tls.certificate_file.c_str());
    if (!tls.key_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, tls.key_file.c_str());
}

// nothing = stopped.
std::optional<CURLcode> drive(const Transfer& transfer, const Context& context) {
    const std::stop_callback wake(context.stop, [&] { curl_multi_wakeup(transfer.multi); });
    if (curl_multi_add_handle(transfer.multi, transfer.easy) != CURLM_OK) return CURLE_FAILED_INIT;
    std::optional<CURLcode> outcome;
    while (!outcome) {
        int running = 0;
        if (curl_multi_perform(transfer.multi, &running) != CURLM_OK) outcome = CURLE_FAILED_INIT;
        int queued = 0;
        while (const CURLMsg* message = curl_multi_info_read(transfer.multi, &queued)) {
            if (message->msg == CURLMSG_DONE) outcome = message->data.result;
        }
        if (outcome || context.stop.stop_requested()) break;
        if (running == 0) continue;
        curl_multi_poll(transfer.multi, nullptr, 0, kPollMs, nullptr);
    }
    curl_multi_remove_handle(transfer.multi, transfer.easy);
    return outcome;
}

ErrorCode code_of(CURLcode result, int os_error) {
    switch (result) {
        case CURLE_OPERATION_TIMEDOUT: return ErrorCode::kTimeout;
        case CURLE_COULDNT_CONNECT: {
            const ErrorCode code = connect_error_code(os_error);
            return code == ErrorCode::kIo ? ErrorCode::kUnreachable : code;
        }
        case CURLE_COULDNT_RESOLVE_HOST: return ErrorCode::kUnreachable;
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_PARTIAL_FILE: return ErrorCode::kConnectionLost;
        case CURLE_SSL_CONNECT_ERROR:
            return os_error == ECONNRESET ? ErrorCode::kConnectionLost : ErrorCode::kServer;
        case CURLE_PEER_FAILED_VERIFICATION: return ErrorCode::kServer;
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_URL_MALFORMAT: return ErrorCode::kConfiguration;
        case CURLE_OUT_OF_MEMORY:
        case CURLE_FAILED_INIT: return ErrorCode::kInternal;
        default: return ErrorCode::kProtocol;  // HTTP/0.9, wrong chunks, wrong headers, …
    }
}

bool is_tls_error(CURLcode result) {
    return result == CURLE_SSL_CONNECT_ERROR || result == CURLE_PEER_FAILED_VERIFICATION ||
           result == CURLE_SSL_CACERT_BADFILE || result == CURLE_SSL_CERTPROBLEM;
}

class CurlHttpClient final : public HttpClient {
  public:
    CurlHttpClient() {
        static std::once_flag once;
        std::call_once(once, [] { AETERNA_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
    }

    Result<HttpResponse> send(const HttpRequest& request, const Context& context) override {
        AETERNA_ASSIGN(const Url url, inspect_url(request.url));
        const std::string what = fmt::format("{} '{}{}'", request.method, url.origin, one_line(url.path));
        AETERNA_TRY(check_context(context, what));
        HeaderList headers;
        AETERNA_TRY(add_headers(request, headers));

        Sink sink;
        sink.limit_bytes = request.response_limit_bytes;
        auto transfer = pool_.take(url.origin);
        CURL* easy = transfer->easy;
        curl_easy_reset(easy);
        set_guards(easy, context);
        set_request(easy, request);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.list);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &sink);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &sink);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, sink.message);

        const auto outcome = drive(*transfer, context);
        if (outcome != CURLE_OK) return failure(request, what, outcome, sink, easy);
        if (!sink.has_whole_head) return failure(request, what, CURLE_PARTIAL_FILE, sink, easy);
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        sink.response.status = static_cast<int>(status);
        curl_easy_reset(easy);  // forgets the password and the pointers into this frame
        pool_.give_back(url.origin, std::move(transfer));
        return std::move(sink.response);
    }

  private:
    static Error failure(const HttpRequest& request, const std::string& what,
                         std::optional<CURLcode> outcome, const Sink& sink, CURL* easy) {
        long sent_bytes = 0;
        long os_error = 0;
        curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
        const bool reads_only = request.method == "GET" || request.method == "HEAD";
        const Effect effect = sent_bytes > 0 && !reads_only ? Effect::kUnknown : Effect::kNone;
        if (!outcome) return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", what), "", effect);
        if (sink.is_over_limit) {
            return make_error(ErrorCode::kProtocol,
                              fmt::format("{}: more than {} bytes of answer", what, sink.limit_bytes), "",
                              effect);
        }
        const std::string detail =
            one_line(sink.message[0] != '\0' ? sink.message : curl_easy_strerror(*outcome));
        if (is_tls_error(*outcome)) {
            return make_error(code_of(*outcome, static_cast<int>(os_error)),
                              fmt::format("{}: TLS failed: {}", what, detail),
                              "Check the scheme of the address, the server's certificate and 'ca_file'.",
                              effect);
        }
        return make_error(code_of(*outcome, static_cast<int>(os_error)),
                          fmt::format("{}: {}", what, detail), "", effect);
    }

    Pool pool_;
};

}  // namespace

std::unique_ptr<HttpClient> make_curl_http_client() { return std::make_unique<CurlHttpClient>(); }

}  // namespace aeterna::env
