// CRC-32C (Castagnoli; PostgreSQL's pg_crc32c): of WAL records and of a backup's files. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace aeterna::postgres {

// Continues with `crc`, the value of what came before; 0 at the front.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t crc, std::string_view bytes);
[[nodiscard]] std::uint32_t crc32c_plainly(std::uint32_t crc, std::string_view bytes);  // without the CPU's instruction

}  // namespace aeterna::postgres
