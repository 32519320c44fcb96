#include "postgres/client/server_url.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "base/url.h"

namespace aeterna::postgres {
namespace {

constexpr std::string_view kSchemes[] = {"postgresql://", "postgres://"};

Error bad_url(std::string what) {
    return make_error(ErrorCode::kUsage, std::move(what), "Write postgresql://USER@HOST:PORT/DATABASE.");
}

// Of a path, where '+' is no space.
std::string decode_part(std::string_view text) {
    std::string plain;
    for (const char c : text) plain += c == '+' ? std::string("%2B") : std::string(1, c);
    return url_decode(plain);
}

Status read_parameters(std::string_view text, env::SqlTarget& target) {
    for (const std::string_view part : split(text, '&')) {
        const std::size_t equals = part.find('=');
        const std::string name(part.substr(0, equals));
        const std::string value = equals == std::string_view::npos ? "" : decode_part(part.substr(equals + 1));
        if (name == "sslmode" && !value.empty()) target.ssl_mode = value;
        else if (name == "sslrootcert" && !value.empty()) target.ssl_root_certificate = value;
        else return bad_url(fmt::format("the server's URL has '{}', and only sslmode and sslrootcert are known", one_line(name)));
    }
    return {};
}

}  // namespace

bool is_server_url(const std::string& text) {
    for (const std::string_view scheme : kSchemes) {
        if (text.starts_with(scheme)) return true;
    }
    return false;
}

Result<env::SqlTarget> parse_server_url(const std::string& text) {
    std::string_view rest;
    for (const std::string_view scheme : kSchemes) {
        if (text.starts_with(scheme)) rest = std::string_view(text).substr(scheme.size());
    }
    env::SqlTarget target;
    const std::size_t question = rest.find('?');
    if (question != std::string_view::npos) AETERNA_TRY(read_parameters(rest.substr(question + 1), target));
    rest = rest.substr(0, question);
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos || slash + 1 == rest.size()) return bad_url("the server's URL names no database");
    if (rest.find('/', slash + 1) != std::string_view::npos) return bad_url("the server's URL has more than a database's name");
    target.database = decode_part(rest.substr(slash + 1));
    rest = rest.substr(0, slash);
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = rest.substr(0, at);
        if (user.find(':') != std::string_view::npos) {
            return make_error(ErrorCode::kUsage, "the server's URL has a password, which every user of this machine can see",
                              "Put it into a file (--password-file), and change it.");
        }
        target.user = decode_part(user);
        rest.remove_prefix(at + 1);
    }
    const std::size_t colon = rest.rfind(':');
    const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
    auto endpoint = env::parse_endpoint(has_port ? std::string(rest) : std::string(rest) + ":5432");
    if (!endpoint || endpoint->host.empty()) return bad_url("the server's URL names no host and port");
    target.endpoint = std::move(*endpoint);
    return target;
}

}  // namespace aeterna::postgres
