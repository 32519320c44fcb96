#include "repository/chunk/page_hashes.h"

#include <algorithm>
#include <cstring>

#include "repository/chunk/content_kind.h"

namespace aeterna::repository {

void append_page_hashes(const KeyedHash& hash, Bytes pages, std::vector<PageHash>& hashes) {
    for (std::size_t offset = 0; offset < pages.size(); offset += kPageBytes) {
        const Bytes page = pages.subspan(offset, std::min(kPageBytes, pages.size() - offset));
        PageHash& result = hashes.emplace_back();
        if (is_zero(page)) continue;
        const Id id = hash(page);
        std::memcpy(result.data(), id.bytes.data(), result.size());
    }
}

Bytes bytes_of(std::span<const PageHash> hashes) {
    return {reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(PageHash)};
}

}  // namespace aeterna::repository
