// Small text helpers that the standard library lacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aeterna {

[[nodiscard]] std::string_view trim(std::string_view text);
// Keeps empty parts: split("a,,b", ',') has three.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string join(const std::vector<std::string>& parts, std::string_view separator);
[[nodiscard]] std::string lower(std::string_view text);
// The whole text as a decimal integer, else nothing.
[[nodiscard]] std::optional<std::int64_t> to_integer(std::string_view text);
[[nodiscard]] std::optional<double> to_number(std::string_view text);
// First line only, control characters replaced, cut to `limit` bytes (never inside a UTF-8 sequence): a server's
// text in a message.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t limit = 200);

// One word for a POSIX shell, whatever is in it.
[[nodiscard]] std::string shell_word(std::string_view text);
[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Nothing when `text` is not standard base64 with padding.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
// Lower-case hex of the bytes.
[[nodiscard]] std::string to_hex(std::string_view bytes);
// 32-bit FNV-1a: a stable, non-cryptographic number for a name.
[[nodiscard]] std::uint32_t stable_hash(std::string_view text);

}  // namespace aeterna
