// Host names to numeric addresses within a deadline: getaddrinfo(3) itself knows none.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "env/context.h"
#include "env/net.h"

namespace aeterna::env {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] int family() const { return storage.ss_family; }
    [[nodiscard]] std::string numeric_host() const;
};

// A numeric host asks nobody. kUnreachable when the name has no address, kTimeout or kCancelled.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, const Context& context);

}  // namespace aeterna::env
