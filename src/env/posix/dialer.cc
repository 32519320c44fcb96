// TCP connections. Sockets never block by themselves: every wait is a poll(2) with the context's deadline.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "env/posix/errors.h"
#include "env/posix/ports.h"
#include "env/posix/resolve.h"
#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

class TcpStream final : public Stream {
  public:
    TcpStream(Descriptor socket, std::string peer) : socket_(std::move(socket)), peer_(std::move(peer)) {}

    Result<std::size_t> read_some(std::span<char> buffer, const Context& context) override {
        while (true) {
            const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return socket_error(errno, fmt::format("read from '{}'", peer_));
            AETERNA_TRY(wait_ready(socket_.get(), POLLIN, context, fmt::format("read from '{}'", peer_)));
        }
    }

    Status write_all(std::string_view bytes, const Context& context) override {
        const std::string what = fmt::format("write to '{}'", peer_);
        const auto failed = [](Error error) {
            error.effect = Effect::kUnknown;
            return error;
        };
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(sent));
                continue;
            }
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return failed(socket_error(errno, what));
            if (auto ready = wait_ready(socket_.get(), POLLOUT, context, what); !ready) {
                return failed(std::move(ready).error());
            }
        }
        return {};
    }

  private:
    Descriptor socket_;
    std::string peer_;
};

Result<Descriptor> connect_one(const SocketAddress& address, const std::string& what,
                               const Context& context) {
    Descriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) return connect_error(errno, what);
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket.get(), address.get(), address.length) == 0) return socket;
    if (errno != EINPROGRESS) return connect_error(errno, what);
    AETERNA_TRY(wait_ready(socket.get(), POLLOUT, context, what));
    int code = 0;
    socklen_t length = sizeof code;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &length) != 0) code = errno;
    if (code != 0) return connect_error(code, what);
    return socket;
}

// Each further address gets an equal share of the time that is left, so that a silent one can't eat it all.
Context share_of(const Context& context, std::size_t addresses_left) {
    const MonoTime now = std::chrono::steady_clock::now();
    return context.until(now + (context.deadline - now) / static_cast<int>(addresses_left));
}

class PosixDialer final : public Dialer {
  public:
    Result<std::unique_ptr<Stream>> connect(const Endpoint& endpoint, const Context& context) override {
        const std::string what = fmt::format("connect to '{}'", endpoint.to_string());
        AETERNA_TRY(check_context(context, what));
        AETERNA_ASSIGN(const std::vector<SocketAddress> addresses, resolve(endpoint, context));
        Error last = make_error(ErrorCode::kUnreachable, fmt::format("{}: no address", what));
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            auto socket = connect_one(addresses[i], what, share_of(context, addresses.size() - i));
            if (socket) return std::make_unique<TcpStream>(std::move(*socket), endpoint.to_string());
            last = std::move(socket).error();
            if (last.code == ErrorCode::kCancelled) break;
        }
        return last;
    }

    bool can_listen(const Endpoint& endpoint) override {
        const Context numeric_only{};
        const auto addresses = resolve(endpoint, numeric_only);
        if (!addresses) return false;
        const SocketAddress& address = addresses->front();
        const Descriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        return socket.is_open() &&
               ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
               ::bind(socket.get(), address.get(), address.length) == 0 &&
               ::listen(socket.get(), 1) == 0;
    }
};

}  // namespace

std::unique_ptr<Dialer> make_posix_dialer() { return std::make_unique<PosixDialer>(); }

}  // namespace aeterna::env
