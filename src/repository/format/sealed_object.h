// A whole object that is one entry: index segments, backups. The salt makes its key, and its storage name makes its
// id: an object that was put under another's name does not open.
//
//     "ADROBJ" type u8 0x01, salt 16, codec u8, zero u8 ×3, plain u32, sealed bytes
#pragma once

#include <string>

#include "base/result.h"
#include "env/clock.h"
#include "repository/format/entry.h"

namespace aeterna::repository {

// 16 bytes from `random`.
[[nodiscard]] PackId random_name(env::Random& random);

[[nodiscard]] std::string seal_object(EntryType type, const std::string& name, Bytes plain, const RepositoryKeys& keys,
                                      const PackId& salt, Compressor& compressor);
// kCorrupt when anything differs; kConfiguration for a newer version.
[[nodiscard]] Result<std::string> open_object(EntryType type, const std::string& name, Bytes object,
                                              const RepositoryKeys& keys, Compressor& compressor);

}  // namespace aeterna::repository
