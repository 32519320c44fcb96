#include "env/net.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::env {

std::string Endpoint::to_string() const {
    if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
    return fmt::format("{}:{}", host, port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
    const Error wrong = make_error(ErrorCode::kUsage,
                                   fmt::format("'{}' is no address", one_line(text)),
                                   "Write it as 'host:port' or '[ipv6]:port'.");
    std::string_view host;
    std::string_view port;
    if (!text.empty() && text.front() == '[') {
        const std::size_t end = text.find("]:");
        if (end == std::string_view::npos) return wrong;
        host = text.substr(1, end - 1);
        port = text.substr(end + 2);
        if (host.find(':') == std::string_view::npos) return wrong;
    } else {
        const std::size_t colon = text.find(':');
        if (colon == std::string_view::npos) return wrong;
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    const auto number = to_integer(port);
    if (host.empty() || !number || *number < 1 || *number > 65535) return wrong;
    if (host.find_first_of(" \t\r\n/@[]") != std::string_view::npos) return wrong;
    return Endpoint{std::string(host), static_cast<int>(*number)};
}

}  // namespace aeterna::env
