#include "env/posix/resolve.h"

#include <fmt/format.h>
#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "env/posix/wait.h"

namespace aeterna::env {
namespace {

struct Lookup {
    std::mutex mutex;
    std::condition_variable_any finished;
    bool is_done = false;
    int code = 0;
    std::vector<SocketAddress> addresses;
};

int look_up(const std::string& host, int port, int flags, std::vector<SocketAddress>& addresses) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (code != 0) return code;
    for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
        SocketAddress address;
        std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
        address.length = item->ai_addrlen;
        addresses.push_back(address);
    }
    ::freeaddrinfo(list);
    return 0;
}

}  // namespace

std::string SocketAddress::numeric_host() const {
    char host[NI_MAXHOST] = {};
    ::getnameinfo(get(), length, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
    return host;
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, const Context& context) {
    std::vector<SocketAddress> numeric;
    if (look_up(endpoint.host, endpoint.port, AI_NUMERICHOST, numeric) == 0) return numeric;

    const std::string what = fmt::format("look-up of '{}'", endpoint.host);
    AETERNA_TRY(check_context(context, what));
    // The thread may outlive the call: a resolver can't be interrupted. It owns all that it touches.
    const auto lookup = std::make_shared<Lookup>();
    std::thread([lookup, host = endpoint.host, port = endpoint.port] {
        std::vector<SocketAddress> found;
        const int code = look_up(host, port, AI_ADDRCONFIG, found);
        const std::lock_guard lock(lookup->mutex);
        lookup->code = code;
        lookup->addresses = std::move(found);
        lookup->is_done = true;
        lookup->finished.notify_all();
    }).detach();
    std::unique_lock lock(lookup->mutex);
    if (!lookup->finished.wait_until(lock, context.stop, context.deadline,
                                     [&] { return lookup->is_done; })) {
        lock.unlock();
        AETERNA_TRY(check_context(context, what));
        return make_error(ErrorCode::kTimeout, fmt::format("{}: no answer in time", what));
    }
    if (lookup->code != 0 || lookup->addresses.empty()) {
        return make_error(ErrorCode::kUnreachable,
                          fmt::format("{}: {}", what, ::gai_strerror(lookup->code)));
    }
    return std::move(lookup->addresses);
}

}  // namespace aeterna::env
