#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace aeterna {
namespace {

// Json's copies, comparisons and dumps recurse: a stranger's nesting must not decide on our stack.
constexpr int kDepthLimit = 64;

bool is_too_deep(std::string_view text) {
    // Most texts have so few opening brackets that they cannot be.
    const auto opening = std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{'; });
    if (opening <= kDepthLimit) return false;
    int depth = 0;
    bool in_string = false;
    bool is_escaped = false;
    for (const char c : text) {
        if (in_string) {
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        if (c == '"') in_string = true;
        if (c == ']' || c == '}') --depth;
        if ((c == '[' || c == '{') && ++depth > kDepthLimit) return true;
    }
    return false;
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what) {
    if (is_too_deep(text)) {
        return make_error(ErrorCode::kProtocol, fmt::format("{} sent JSON nested too deep", what));
    }
    Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) {
        return make_error(ErrorCode::kProtocol, fmt::format("{} sent what is not JSON", what));
    }
    return value;
}

std::string dump_json(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json_pretty(const Json& value) {
    return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

const Json* find_member(const Json& object, std::string_view key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return nullptr;
    return &*found;
}

std::optional<std::string> find_string(const Json& object, std::string_view key) {
    const Json* member = find_member(object, key);
    if (member == nullptr || !member->is_string()) return std::nullopt;
    return member->get<std::string>();
}

std::optional<std::int64_t> find_integer(const Json& object, std::string_view key) {
    const Json* member = find_member(object, key);
    if (member == nullptr || !member->is_number_integer()) return std::nullopt;
    if (member->is_number_unsigned() &&
        member->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
    }
    return member->get<std::int64_t>();
}

std::optional<std::int64_t> find_integer_or_text(const Json& object, std::string_view key) {
    if (const auto number = find_integer(object, key)) return number;
    const auto text = find_string(object, key);
    if (!text) return std::nullopt;
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (code != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return number;
}

std::optional<double> find_number(const Json& object, std::string_view key) {
    const Json* member = find_member(object, key);
    if (member == nullptr || !member->is_number()) return std::nullopt;
    return member->get<double>();
}

std::optional<bool> find_boolean(const Json& object, std::string_view key) {
    const Json* member = find_member(object, key);
    if (member == nullptr || !member->is_boolean()) return std::nullopt;
    return member->get<bool>();
}

std::vector<std::string> find_strings(const Json& object, std::string_view key) {
    std::vector<std::string> texts;
    const Json* list = find_member(object, key);
    if (list == nullptr || !list->is_array()) return texts;
    for (const Json& item : *list) {
        if (item.is_string()) texts.push_back(item.get<std::string>());
    }
    return texts;
}

}  // namespace aeterna
