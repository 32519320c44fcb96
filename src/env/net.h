// The ports to the network: byte streams, an HTTP client, an HTTP server. All calls block and keep to their
// context. What failed is told apart, because detectors live on it: kConnectionRefused (the peer's kernel
// answered), kConnectionLost (reset or closed), kTimeout (silence), kUnreachable (no route, no name).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "env/context.h"

namespace aeterna::env {

struct Endpoint {
    std::string host;
    int port = 0;
    [[nodiscard]] std::string to_string() const;  // "127.0.0.1:5432", "[::1]:5432"
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
// "host:port" or "[v6]:port"; kUsage otherwise.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text);

// A connected byte stream; one thread at a time. Closed by the destructor.
class Stream {
  public:
    virtual ~Stream() = default;
    // At least one byte, or 0 at the peer's orderly end.
    [[nodiscard]] virtual Result<std::size_t> read_some(std::span<char> buffer, const Context& context) = 0;
    // All of it. After an error an unknown part was sent (effect kUnknown).
    virtual Status write_all(std::string_view bytes, const Context& context) = 0;
};

class Dialer {
  public:
    virtual ~Dialer() = default;
    [[nodiscard]] virtual Result<std::unique_ptr<Stream>> connect(const Endpoint& endpoint,
                                                                  const Context& context) = 0;
    // Listens on the endpoint for a moment: true when a server could bind it now.
    [[nodiscard]] virtual bool can_listen(const Endpoint& endpoint) = 0;
};

struct TlsOptions {
    std::string ca_file;           // empty: the system's
    std::string certificate_file;  // client certificate
    std::string key_file;
};

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string user;  // Basic authentication when not empty
    Secret password;
    TlsOptions tls;
    std::size_t response_limit_bytes = 16 << 20;
};

struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
};

// Any HTTP status is a response, not an Error. No redirects are followed, no proxy is used. Thread-safe;
// connections are kept and reused.
class HttpClient {
  public:
    virtual ~HttpClient() = default;
    [[nodiscard]] virtual Result<HttpResponse> send(const HttpRequest& request, const Context& context) = 0;
};

struct ServerRequest {
    std::string method;
    std::string path;                            // decoded, without the query
    std::multimap<std::string, std::string> query;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
};

struct ServerResponse {
    int status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

// Called on several threads at once.
using HttpHandler = std::function<ServerResponse(const ServerRequest&)>;

// Serves until destroyed.
class HttpServer {
  public:
    virtual ~HttpServer() = default;
};

class HttpListener {
  public:
    virtual ~HttpListener() = default;
    // kAlreadyExists when the port is taken. Bounded: threads, body size, idle time.
    [[nodiscard]] virtual Result<std::unique_ptr<HttpServer>> serve(const Endpoint& endpoint,
                                                                    HttpHandler handler) = 0;
};

}  // namespace aeterna::env
