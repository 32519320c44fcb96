// Page hashes: 16 bytes of keyed hash for each 8 KiB page. A group of pages is named by its pages' hashes, so that
// one pass over the bytes gives the group's id, the map that the next backup compares with, and the file's digest.
#pragma once

#include <array>
#include <vector>

#include "repository/crypto/keyed_hash.h"
#include "repository/id.h"

namespace aeterna::repository {

// A page of zeros has the hash zero: it is recognised without a look at the key.
using PageHash = std::array<char, 16>;

// Appends one hash for each page of `pages`; the last one may be shorter.
void append_page_hashes(const KeyedHash& hash, Bytes pages, std::vector<PageHash>& hashes);

[[nodiscard]] Bytes bytes_of(std::span<const PageHash> hashes);

}  // namespace aeterna::repository
