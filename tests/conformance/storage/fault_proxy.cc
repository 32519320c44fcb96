#include "fault_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "base/strings.h"

namespace aeterna::repository::testing {
namespace {

struct Message {
    std::string head;  // with the empty line
    std::string body;
};

std::string header_of(const std::string& head, const std::string& name) {
    const std::size_t at = lower(head).find("\r\n" + name + ":");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 3;
    return std::string(trim(head.substr(from, head.find("\r\n", from) - from)));
}

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

// Until `buffer` has `wanted` bytes or holds `mark`; false at the end of the connection.
template <class Done>
bool receive_until(int socket, int wake, std::string& buffer, Done done) {
    while (!done(buffer)) {
        pollfd waits[] = {{socket, POLLIN, 0}, {wake, POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 || waits[1].revents != 0) return false;
        char bytes[1 << 16];
        const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
        if (got <= 0) return false;
        buffer.append(bytes, static_cast<std::size_t>(got));
    }
    return true;
}

bool receive(int socket, int wake, bool has_body, Message& message) {
    std::string buffer;
    std::size_t end = 0;
    const auto has_head = [&](const std::string& b) { return (end = b.find("\r\n\r\n")) != std::string::npos; };
    if (!receive_until(socket, wake, buffer, has_head)) return false;
    message.head = buffer.substr(0, end + 4);
    message.body = buffer.substr(end + 4);
    if (!has_body) return true;
    if (lower(header_of(message.head, "transfer-encoding")) == "chunked") {
        return receive_until(socket, wake, message.body, [](const std::string& b) { return b.ends_with("0\r\n\r\n"); });
    }
    const auto size = static_cast<std::size_t>(to_integer(header_of(message.head, "content-length")).value_or(0));
    return receive_until(socket, wake, message.body, [&](const std::string& b) { return b.size() >= size; });
}

int connect_to(const env::Endpoint& endpoint) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(endpoint.port));
    ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
    ::close(socket);
    return -1;
}

void reset(int socket) {
    const linger now{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void flip_middle(std::string& bytes) {
    if (!bytes.empty()) bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
}

std::string answer(const std::string& status, const std::string& code) {
    const std::string body = "<Error><Code>" + code + "</Code><Message>by the proxy</Message></Error>";
    return "HTTP/1.1 " + status + "\r\nRetry-After: 0\r\nContent-Type: application/xml\r\nConnection: close\r\n" +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

std::string fault_name(Fault fault) {
    static const char* const kNames[] = {"None",        "ServerError",     "SlowDown",
                                         "ResetBefore", "ResetAfter",      "Truncate",
                                         "StallBefore", "StallAfter",      "FlipRequestByte",
                                         "FlipResponseByte"};
    return kNames[static_cast<int>(fault)];
}

FaultProxy::FaultProxy(env::Endpoint upstream, Choose choose)
    : upstream_(std::move(upstream)), choose_(std::move(choose)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, "127.0.88.1", &address.sin_addr);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint_ = {"127.0.88.1", ntohs(address.sin_port)};
    EXPECT_EQ(::pipe2(wake_, O_CLOEXEC), 0);
    acceptor_ = std::thread([this] { accept_all(); });
}

FaultProxy::~FaultProxy() {
    is_over_ = true;
    (void)!::write(wake_[1], "x", 1);  // never read: wakes everybody
    acceptor_.join();
    for (std::thread& connection : connections_) connection.join();
    for (const int descriptor : {listener_, wake_[0], wake_[1]}) ::close(descriptor);
}

void FaultProxy::accept_all() {
    while (!is_over_) {
        pollfd waits[] = {{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 || waits[1].revents != 0) return;
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        const int on = 1;
        ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections_.emplace_back([this, client] { serve(client); });
    }
}

void FaultProxy::serve(int client) {
    const int upstream = connect_to(upstream_);
    while (upstream >= 0 && pass_one(client, upstream)) {
    }
    ::close(client);
    if (upstream >= 0) ::close(upstream);
}

// Until the client gives up.
void FaultProxy::hold(int client) {
    std::string rest;
    (void)receive_until(client, wake_[0], rest, [](const std::string&) { return false; });
}

bool FaultProxy::pass_one(int client, int upstream) {
    Message request;
    if (!receive(client, wake_[0], true, request)) return false;
    const std::string first_line = request.head.substr(0, request.head.find("\r\n"));
    const Fault fault = choose_(requests_++, first_line);
    if (fault == Fault::kServerError) return send_all(client, answer("500 Error", "InternalError")) && false;
    if (fault == Fault::kSlowDown) return send_all(client, answer("503 Slow Down", "SlowDown")) && false;
    if (fault == Fault::kResetBefore) return reset(client), false;
    if (fault == Fault::kStallBefore) return hold(client), false;
    if (fault == Fault::kFlipRequestByte) flip_middle(request.body);

    Message response;
    if (!send_all(upstream, request.head + request.body)) return false;
    const bool is_head = first_line.starts_with("HEAD ");
    if (!receive(upstream, wake_[0], !is_head, response)) return false;
    if (fault == Fault::kResetAfter) return reset(client), false;
    if (fault == Fault::kStallAfter) return hold(client), false;
    if (fault == Fault::kFlipResponseByte) flip_middle(response.body);
    std::string whole = response.head + response.body;
    if (fault == Fault::kTruncate) whole.resize(whole.size() / 2);
    return send_all(client, whole) && fault != Fault::kTruncate;
}

}  // namespace aeterna::repository::testing
