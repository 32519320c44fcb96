// What a path says by itself, without a look at the file system: '/' separates, '.' and '..' are names like others.
#pragma once

#include <string>

namespace aeterna {

// The directory that holds the last name of `path`: "/" for "/a" and for "/", "." for a name alone. `path` must not
// end with a slash, other than "/" itself.
[[nodiscard]] std::string parent_of(const std::string& path);
// Whether `path` is `directory` or below it. Neither ends with a slash.
[[nodiscard]] bool lies_in(const std::string& path, const std::string& directory);
// "a/b/" names a link's target, "a/b" the link itself. "/" stays.
[[nodiscard]] std::string without_trailing_slashes(std::string path);

}  // namespace aeterna
