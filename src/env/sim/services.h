// What listens in the virtual network, by protocol: HTTP, SQL, byte streams. Models implement
// these; their calls come in nobody's fiber and must not block: an answer that takes time keeps its
// Promise.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/net.h"
#include "env/sim/network.h"
#include "env/sql.h"

namespace aeterna::sim {

struct HttpCall {
    std::string method;
    std::string target;  // "/patroni?x=1"
    std::string body;
};

class HttpService {
  public:
    static constexpr char kProtocol = 0;  // its address names the protocol
    virtual ~HttpService() = default;
    virtual void serve(HttpCall call, Promise<env::HttpResponse> answer) = 0;
};

// One client's session with one server process.
struct SqlSession {
    Process* client = nullptr;
    Process* server = nullptr;
    env::Endpoint endpoint;
    std::string user;
    std::string application_name;
    bool is_open = true;
    bool is_busy = false;  // a statement runs that its client has given up
};

class SqlService {
  public:
    static constexpr char kProtocol = 0;
    virtual ~SqlService() = default;
    // Opens the session, or says why not.
    virtual void connect(const std::shared_ptr<SqlSession>& session, Promise<Status> answer) = 0;
    virtual void query(const std::shared_ptr<SqlSession>& session, const std::string& sql,
                       const std::vector<std::optional<std::string>>& parameters,
                       Promise<Result<env::SqlRows>> answer) = 0;
};

// The server's end of a byte stream. Order is kept in both directions.
class StreamPipe;
class StreamPeer {
  public:
    virtual ~StreamPeer() = default;
    virtual void received(std::string_view bytes) = 0;
    virtual void closed() {}
};

class StreamService {
  public:
    static constexpr char kProtocol = 0;
    virtual ~StreamService() = default;
    // `pipe` stays good as long as somebody holds it.
    virtual std::unique_ptr<StreamPeer> accept(std::shared_ptr<StreamPipe> pipe) = 0;
};

class StreamPipe : public std::enable_shared_from_this<StreamPipe> {
  public:
    StreamPipe(Network& network, Process& client) : network_(network), client_(&client) {}

    // The server's side.
    void send_to_client(std::string bytes);
    void close_to_client();
    [[nodiscard]] bool is_open() const { return !client_closed_ && !server_dead_; }
    [[nodiscard]] Process& client() const { return *client_; }
    // The client's side.
    void send_to_server(std::string bytes);
    void close_to_server();
    [[nodiscard]] Result<std::size_t> read(std::span<char> buffer, const env::Context& context,
                                           const std::string& what);
    [[nodiscard]] bool is_reset() const { return is_reset_; }
    void attach(Process& server, StreamService& service);
    // Accepted by the kernel of a server of another protocol: it takes bytes and says nothing.
    void attach_mute(Process& server);

  private:
    void deliver_to_client();
    void deliver_to_server();

    Network& network_;
    Process* client_;
    Process* server_ = nullptr;
    std::unique_ptr<StreamPeer> peer_;
    std::vector<std::string> to_client_;  // under way, in order; an empty one is the end
    std::vector<std::string> to_server_;
    std::string inbox_;
    bool has_ended_ = false;  // the server's orderly end has come
    bool is_reset_ = false;
    bool client_closed_ = false;
    bool server_dead_ = false;
    FiberRef reader_;
};

}  // namespace aeterna::sim
