#include "repository/storage/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kNameLimitBytes = 200;

bool is_allowed(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '=' || c == '-';
}

bool is_component(std::string_view text) {
    return !text.empty() && text.front() != '.' && std::all_of(text.begin(), text.end(), is_allowed);
}

Error refuse(std::string_view name) {
    return make_error(ErrorCode::kUsage, fmt::format("'{}' is no name for an object", one_line(name)));
}

}  // namespace

Status check_name(std::string_view name) {
    if (name.size() > kNameLimitBytes) return refuse(name);
    for (const std::string_view part : split(name, '/')) {
        if (!is_component(part)) return refuse(name);
    }
    return {};
}

Status check_prefix(std::string_view prefix) {
    if (prefix.empty()) return {};
    return check_name(prefix.back() == '/' ? prefix.substr(0, prefix.size() - 1) : prefix);
}

Status check_running(const env::Clock& clock, const env::Context& context, std::string_view what) {
    if (context.stop.stop_requested()) {
        return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", what));
    }
    if (clock.now() >= context.deadline) {
        return make_error(ErrorCode::kDeadline, fmt::format("{}: the deadline passed", what));
    }
    return {};
}

}  // namespace aeterna::repository
