// JSON as untrusted input: parsing and lookups that never throw. A server's wrong JSON is an Error or an
// empty optional, never an exception.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace aeterna {

using Json = nlohmann::json;

// kProtocol when `text` is not one JSON document or is nested deeper than 64; `what` names the source in the message.
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view what);

// One line, invalid UTF-8 replaced instead of thrown.
[[nodiscard]] std::string dump_json(const Json& value);
// Indented by two, invalid UTF-8 replaced.
[[nodiscard]] std::string dump_json_pretty(const Json& value);

// The member of an object; nullptr when `object` is no object or has no such member (or it is null).
[[nodiscard]] const Json* find_member(const Json& object, std::string_view key);
[[nodiscard]] std::optional<std::string> find_string(const Json& object, std::string_view key);
// Integers only: a number that is not integral or does not fit, or a string, gives nothing.
[[nodiscard]] std::optional<std::int64_t> find_integer(const Json& object, std::string_view key);
// etcd's gateway writes 64-bit integers as strings; this accepts both forms.
[[nodiscard]] std::optional<std::int64_t> find_integer_or_text(const Json& object, std::string_view key);
[[nodiscard]] std::optional<double> find_number(const Json& object, std::string_view key);
[[nodiscard]] std::optional<bool> find_boolean(const Json& object, std::string_view key);
// The texts of a list, in order: what is no text in it is left out, and what is no list has none.
[[nodiscard]] std::vector<std::string> find_strings(const Json& object, std::string_view key);

// null for nothing: `json_or_null(optional)`.
template <class T>
[[nodiscard]] Json json_or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

}  // namespace aeterna
