// The HTTP server over cpp-httplib, the only file that knows it. Bounded: threads, body, idle and read time.
// It binds before serve() returns. SO_REUSEPORT, the library's default, is not set: a second server on the same
// port must fail.
#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "base/strings.h"
#include "base/url.h"
#include "env/posix/errors.h"
#include "env/posix/ports.h"
#include "env/posix/resolve.h"

namespace aeterna::env {
namespace {

// A kept connection holds its thread while it is idle, so there are more of them than requests at a time.
constexpr std::size_t kThreads = 32;
constexpr time_t kIdleSeconds = 2;
constexpr std::size_t kRequestsPerConnection = 1000;
constexpr time_t kReadSeconds = 10;
constexpr time_t kWriteSeconds = 10;
constexpr std::size_t kBodyLimitBytes = 64U << 20;
constexpr const char* kEveryPath = R"([\s\S]*)";

// From the target: the library mixes the fields of a form's body into its own map.
std::multimap<std::string, std::string> query_of(std::string_view target) {
    std::multimap<std::string, std::string> query;
    const std::size_t mark = target.find('?');
    if (mark == std::string_view::npos) return query;
    for (const std::string_view part : split(target.substr(mark + 1), '&')) {
        const std::size_t equal = part.find('=');
        if (part.empty()) continue;
        const bool has_value = equal != std::string_view::npos;
        query.emplace(url_decode(part.substr(0, equal)), has_value ? url_decode(part.substr(equal + 1)) : "");
    }
    return query;
}

ServerRequest translate(const httplib::Request& request) {
    ServerRequest result{request.method, request.path, query_of(request.target), {}, request.body};
    for (const auto& [name, value] : request.headers) {
        std::string& joined = result.headers[lower(name)];
        joined += joined.empty() ? value : ", " + value;
    }
    for (const char* own : {"remote_addr", "remote_port", "local_addr", "local_port"}) {
        result.headers.erase(own);  // the library's additions, not the client's words
    }
    return result;
}

void answer(const HttpHandler& handler, const httplib::Request& request, httplib::Response& response) {
    try {
        const ServerResponse result = handler(translate(request));
        response.status = result.status;
        for (const auto& [name, value] : result.headers) response.set_header(name, value);
        response.set_content(result.body, result.content_type);
    } catch (...) {
        response.status = 500;
        response.set_content(R"({"error":"internal"})", "application/json");
    }
}

class HttplibServer final : public HttpServer {
  public:
    explicit HttplibServer(HttpHandler handler) : handler_(std::move(handler)) {
        server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
        server_.set_keep_alive_timeout(kIdleSeconds);
        server_.set_keep_alive_max_count(kRequestsPerConnection);
        server_.set_read_timeout(kReadSeconds);
        server_.set_write_timeout(kWriteSeconds);
        server_.set_payload_max_length(kBodyLimitBytes);
        server_.set_tcp_nodelay(true);
        server_.set_socket_options([](socket_t socket) {
            const int on = 1;
            ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        });
        const auto route = [this](const httplib::Request& request, httplib::Response& response) {
            answer(handler_, request, response);
        };
        server_.Get(kEveryPath, route);
        server_.Post(kEveryPath, route);
        server_.Put(kEveryPath, route);
        server_.Patch(kEveryPath, route);
        server_.Delete(kEveryPath, route);
        server_.Options(kEveryPath, route);
    }

    ~HttplibServer() override {
        server_.stop();
        if (thread_.joinable()) thread_.join();
    }

    bool start(const Endpoint& endpoint) {
        if (!server_.bind_to_port(endpoint.host, endpoint.port)) return false;
        thread_ = std::thread([this] {
            server_.listen_after_bind();
            has_ended_ = true;
        });
        // stop() before the loop runs would be lost.
        while (!server_.is_running() && !has_ended_) std::this_thread::sleep_for(1ms);
        return !has_ended_;
    }

  private:
    HttpHandler handler_;
    httplib::Server server_;
    std::atomic<bool> has_ended_{false};
    std::thread thread_;
};

// Binds for a moment: the library does not say why it can't.
Status try_bind(const Endpoint& endpoint) {
    const std::string what = fmt::format("listen on '{}'", endpoint.to_string());
    const Context soon{std::chrono::steady_clock::now() + 5s, {}, ""};
    AETERNA_ASSIGN(const std::vector<SocketAddress> addresses, resolve(endpoint, soon));
    const SocketAddress& address = addresses.front();
    const Descriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (!socket.is_open() ||
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(socket.get(), address.get(), address.length) != 0 || ::listen(socket.get(), 1) != 0) {
        return socket_error(errno, what);
    }
    return {};
}

class HttplibListener final : public HttpListener {
  public:
    Result<std::unique_ptr<HttpServer>> serve(const Endpoint& endpoint, HttpHandler handler) override {
        AETERNA_TRY(try_bind(endpoint));
        auto server = std::make_unique<HttplibServer>(std::move(handler));
        if (!server->start(endpoint)) {
            return make_error(ErrorCode::kAlreadyExists,
                              fmt::format("listen on '{}': the port was taken", endpoint.to_string()));
        }
        return server;
    }
};

}  // namespace

std::unique_ptr<HttpListener> make_http_listener() { return std::make_unique<HttplibListener>(); }

}  // namespace aeterna::env
