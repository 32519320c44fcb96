// Dialer, HTTP client and server, SQL: the protocols over the virtual network.
#include <fmt/format.h>

#include "base/strings.h"
#include "env/sim/ports.h"
#include "env/sim/services.h"

namespace aeterna::sim {
namespace {

class SimStream final : public env::Stream {
  public:
    SimStream(Place place, std::shared_ptr<StreamPipe> pipe, const std::string& peer)
        : place_(place),
          pipe_(std::move(pipe)),
          reading_(fmt::format("read from '{}'", peer)),
          writing_(fmt::format("write to '{}'", peer)) {}
    ~SimStream() override { pipe_->close_to_server(); }

    Result<std::size_t> read_some(std::span<char> buffer, const env::Context& context) override {
        return pipe_->read(buffer, context, reading_);
    }
    Status write_all(std::string_view bytes, const env::Context&) override {
        if (place_.is_dead()) return place_.dead(writing_);
        if (pipe_->is_reset()) {
            return make_error(ErrorCode::kConnectionLost,
                              fmt::format("{}: Connection reset by peer", writing_), "",
                              Effect::kUnknown);
        }
        pipe_->send_to_server(std::string(bytes));
        return {};
    }

  private:
    Place place_;
    std::shared_ptr<StreamPipe> pipe_;
    std::string reading_, writing_;  // lead messages
};

class SimDialer final : public env::Dialer {
  public:
    explicit SimDialer(Place place) : place_(place) {}

    // Connecting is the kernel's work: a stopped process's backlog takes it.
    Result<std::unique_ptr<env::Stream>> connect(const env::Endpoint& endpoint,
                                                 const env::Context& context) override {
        const std::string what = fmt::format("connect to '{}'", endpoint.to_string());
        Network& network = place_.world.network;
        auto pipe = std::make_shared<StreamPipe>(network, place_.process);
        CallOptions options{false, what, "a connection"};
        options.by_kernel = true;
        auto connected = network.call<bool>(
            place_.process, endpoint, context, options,
            [pipe](Network::Listener& listener, const Promise<bool>& promise) {
                if (listener.protocol == &StreamService::kProtocol) {
                    auto& service = *static_cast<StreamService*>(listener.service.get());
                    pipe->attach(*listener.process, service);
                } else {
                    pipe->attach_mute(*listener.process);
                }
                promise.send(true);
            });
        if (!connected) return std::move(connected).error();
        return std::make_unique<SimStream>(place_, std::move(pipe), endpoint.to_string());
    }

    bool can_listen(const env::Endpoint& endpoint) override {
        return place_.world.network.host_at(endpoint.host) != nullptr &&
               place_.world.network.listener_at(endpoint) == nullptr;
    }

  private:
    Place place_;
};

class SimHttpClient final : public env::HttpClient {
  public:
    explicit SimHttpClient(Place place) : place_(place) {}

    Result<env::HttpResponse> send(const env::HttpRequest& request,
                                   const env::Context& context) override {
        const std::string what = request.method + " " + request.url;
        const std::size_t host = request.url.find("://");
        if (host == std::string::npos)
            return make_error(ErrorCode::kUsage, fmt::format("{}: no URL", what));
        const std::size_t path = request.url.find('/', host + 3);
        AETERNA_ASSIGN(
            const env::Endpoint endpoint,
            env::parse_endpoint(std::string_view(request.url).substr(host + 3, path - host - 3)));
        HttpCall call{request.method, path == std::string::npos ? "/" : request.url.substr(path),
                      request.body};
        const bool is_kept = kept_[endpoint];
        auto response = place_.world.network.call<env::HttpResponse>(
            place_.process, endpoint, context, {is_kept, what, "an HTTP answer"},
            [call = std::move(call)](Network::Listener& listener,
                                     Promise<env::HttpResponse> answer) mutable {
                if (listener.protocol != &HttpService::kProtocol)
                    return;  // silence, as of a server of its own kind
                static_cast<HttpService*>(listener.service.get())
                    ->serve(std::move(call), std::move(answer));
            });
        kept_[endpoint] = response.has_value();
        if (response) return response;
        // A kept connection that turns out to be closed: libcurl tries once more on a new one.
        if (is_kept && response.error().code == ErrorCode::kConnectionLost)
            return send(request, context);
        const bool reads_only = request.method == "GET" || request.method == "HEAD";
        if (!reads_only && response.error().code != ErrorCode::kConnectionRefused) {
            Error error = response.error();
            error.effect = Effect::kUnknown;
            return error;
        }
        return response;
    }

  private:
    Place place_;
    std::map<env::Endpoint, bool> kept_;
};

env::ServerRequest to_request(HttpCall call) {
    env::ServerRequest request;
    request.method = std::move(call.method);
    request.body = std::move(call.body);
    const std::size_t mark = call.target.find('?');
    request.path = call.target.substr(0, mark);
    if (mark == std::string::npos) return request;
    const std::string query = call.target.substr(mark + 1);
    for (const std::string_view part : split(query, '&')) {
        const std::size_t equal = part.find('=');
        request.query.emplace(part.substr(0, equal),
                              equal == std::string_view::npos ? "" : part.substr(equal + 1));
    }
    return request;
}

// Runs the handler in a fiber of the serving process.
class HandlerService final : public HttpService {
  public:
    HandlerService(Place place, env::HttpHandler handler)
        : place_(place), handler_(std::move(handler)) {}
    void serve(HttpCall call, Promise<env::HttpResponse> answer) override {
        if (is_closed_) return;
        ++running_;
        place_.world.scheduler.spawn(
            &place_.process, "http",
            [this, call = std::move(call), answer]() mutable {
                env::ServerResponse response = handler_(to_request(std::move(call)));
                env::HttpResponse sent{
                    response.status, {{"content-type", response.content_type}}, response.body};
                answer.send(std::move(sent));
            },
            [this] {
                --running_;
                place_.world.scheduler.unpark(closer_);
            });
    }
    void close() {
        is_closed_ = true;
        while (running_ > 0) {
            closer_ = place_.world.scheduler.next_parking();
            static_cast<void>(
                place_.world.scheduler.park(MonoTime::max(), {}, "its HTTP handlers"));
        }
    }

  private:
    Place place_;
    env::HttpHandler handler_;
    bool is_closed_ = false;
    int running_ = 0;
    FiberRef closer_;
};

class SimHttpServer final : public env::HttpServer {
  public:
    SimHttpServer(Place place, env::Endpoint endpoint, std::shared_ptr<HandlerService> service)
        : place_(place), endpoint_(std::move(endpoint)), service_(std::move(service)) {}
    ~SimHttpServer() override {
        place_.world.network.unlisten(endpoint_, place_.process);
        service_->close();
    }

  private:
    Place place_;
    env::Endpoint endpoint_;
    std::shared_ptr<HandlerService> service_;
};

class SimHttpListener final : public env::HttpListener {
  public:
    explicit SimHttpListener(Place place) : place_(place) {}
    Result<std::unique_ptr<env::HttpServer>> serve(const env::Endpoint& endpoint,
                                                   env::HttpHandler handler) override {
        const std::string what = fmt::format("listen on '{}'", endpoint.to_string());
        if (place_.is_dead()) return place_.dead(what);
        auto service = std::make_shared<HandlerService>(place_, std::move(handler));
        std::shared_ptr<HttpService> shared = service;
        if (!place_.world.network.listen(endpoint, place_.process, shared,
                                         &HttpService::kProtocol)) {
            return make_error(ErrorCode::kAlreadyExists,
                              fmt::format("{}: Address already in use", what));
        }
        return std::make_unique<SimHttpServer>(place_, endpoint, std::move(service));
    }

  private:
    Place place_;
};

class SimSqlConnection final : public env::SqlConnection {
  public:
    SimSqlConnection(Place place, std::shared_ptr<SqlSession> session, std::string what)
        : place_(place), session_(std::move(session)), what_(std::move(what)) {}
    ~SimSqlConnection() override { session_->is_open = false; }

    Result<env::SqlRows> query(const std::string& sql,
                               const std::vector<std::optional<std::string>>& parameters,
                               const env::Context& context) override {
        if (is_dead_)
            return make_error(ErrorCode::kConnectionLost,
                              fmt::format("{}: the session is closed", what_));
        CallOptions options{true, what_, "a SQL answer"};
        options.expected = session_->server;
        auto answer = place_.world.network.call<Result<env::SqlRows>>(
            place_.process, session_->endpoint, context, options,
            [session = session_, sql, parameters](Network::Listener& listener,
                                                  Promise<Result<env::SqlRows>> promise) {
                static_cast<SqlService*>(listener.service.get())
                    ->query(session, sql, parameters, std::move(promise));
            });
        if (answer) {
            if (!*answer && answer->error().code == ErrorCode::kUnavailable) close();
            return std::move(*answer);
        }
        close();
        Error error = std::move(answer).error();
        error.effect = Effect::kUnknown;
        return error;
    }
    bool is_usable() const override { return !is_dead_; }

  private:
    void close() {
        is_dead_ = true;
        session_->is_open = false;
    }
    Place place_;
    std::shared_ptr<SqlSession> session_;
    std::string what_;
    bool is_dead_ = false;
};

class SimSql final : public env::SqlConnector {
  public:
    explicit SimSql(Place place) : place_(place) {}
    Result<std::unique_ptr<env::SqlConnection>> connect(const env::SqlTarget& target,
                                                        const env::Context& context) override {
        const std::string what = fmt::format("PostgreSQL at '{}'", target.endpoint.to_string());
        auto session = std::make_shared<SqlSession>();
        session->client = &place_.process;
        session->endpoint = target.endpoint;
        session->user = target.user;
        session->application_name = target.application_name;
        auto opened = place_.world.network.call<Status>(
            place_.process, target.endpoint, context, {false, what, "a SQL session"},
            [session](Network::Listener& listener, Promise<Status> promise) {
                if (listener.protocol != &SqlService::kProtocol) return;
                session->server = listener.process;
                static_cast<SqlService*>(listener.service.get())
                    ->connect(session, std::move(promise));
            });
        if (!opened) return std::move(opened).error();
        if (!*opened) return std::move(*opened).error();
        return std::make_unique<SimSqlConnection>(place_, std::move(session), what);
    }

  private:
    Place place_;
};

}  // namespace

std::unique_ptr<env::Dialer> make_dialer(Place place) { return std::make_unique<SimDialer>(place); }
std::unique_ptr<env::HttpClient> make_http_client(Place place) {
    return std::make_unique<SimHttpClient>(place);
}
std::unique_ptr<env::HttpListener> make_http_listener(Place place) {
    return std::make_unique<SimHttpListener>(place);
}
std::unique_ptr<env::SqlConnector> make_sql(Place place) { return std::make_unique<SimSql>(place); }

}  // namespace aeterna::sim
