// Reading and writing a descriptor to the last byte: read(2), write(2), pread(2) and pwrite(2) may be interrupted and
// may do less than they were asked. `path` is for the error, which file_error makes of errno. All block.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace aeterna::env {

// Fills `into` from `offset` on; fewer bytes only where the file ends.
[[nodiscard]] Result<std::size_t> read_fully(int file, std::uint64_t offset, std::span<char> into,
                                             const std::string& path);
// From where the descriptor stands to the end; kIo when there are more than `limit_bytes`.
[[nodiscard]] Result<std::string> read_to_end(int file, std::size_t limit_bytes, const std::string& path);
// After an error the file may have a part of `bytes`.
[[nodiscard]] Status write_fully(int file, std::uint64_t offset, std::span<const char> bytes, const std::string& path);
// Where the descriptor stands, or at the end of a file that was opened with O_APPEND.
[[nodiscard]] Status append_fully(int file, std::string_view bytes, const std::string& path);

}  // namespace aeterna::env
