// Percent-encoding (RFC 3986 section 2) and the ends of base addresses.
#pragma once

#include <string>
#include <string_view>

namespace aeterna {

// Every byte but the unreserved A-Z a-z 0-9 - . _ ~ as %XX, in upper case as AWS signs it. `keep_slash` leaves '/'
// alone: for the path of a URL.
[[nodiscard]] std::string url_encode(std::string_view text, bool keep_slash = false);
// Undoes the encoding of a query's field or of S3's "encoding-type=url", where '+' is a space. Total: a '%' that no
// two hex digits follow stands for itself.
[[nodiscard]] std::string url_decode(std::string_view text);
// A base address to which a path that begins with '/' can be appended.
[[nodiscard]] std::string without_final_slashes(std::string url);

}  // namespace aeterna
