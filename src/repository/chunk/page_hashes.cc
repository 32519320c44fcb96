#include "repository/chunk/page_hashes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "repository/chunk/content_kind.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kPagesAtOnce = 16;  // fills the lanes that a wide hash has

PageHash to_page_hash(const Id& id) {
    PageHash hash{};
    std::memcpy(hash.data(), id.bytes.data(), hash.size());
    return hash;
}

}  // namespace

void append_page_hashes(const KeyedHash& hash, Bytes pages, std::vector<PageHash>& hashes) {
    std::array<Bytes, kPagesAtOnce> waiting;  // whole pages that are not zero
    std::array<std::size_t, kPagesAtOnce> places{};
    std::array<Id, kPagesAtOnce> ids;
    std::size_t count = 0;
    const auto flush = [&] {
        hash.hash_each(std::span(waiting).first(count), std::span(ids).first(count));
        for (std::size_t i = 0; i < count; ++i) hashes[places[i]] = to_page_hash(ids[i]);
        count = 0;
    };
    for (std::size_t offset = 0; offset < pages.size(); offset += kPageBytes) {
        const Bytes page = pages.subspan(offset, std::min(kPageBytes, pages.size() - offset));
        hashes.emplace_back();
        if (is_zero(page)) continue;
        if (page.size() < kPageBytes) {  // the file's last one
            hashes.back() = to_page_hash(hash(page));
            continue;
        }
        waiting[count] = page;
        places[count] = hashes.size() - 1;
        if (++count == kPagesAtOnce) flush();
    }
    flush();
}

Bytes bytes_of(std::span<const PageHash> hashes) {
    return {reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(PageHash)};
}

}  // namespace aeterna::repository
