#include "repository/chunk/content_kind.h"

#include <cstring>

#include "repository/chunk/float_array.h"

namespace aeterna::repository {
namespace {

// A file that somebody laid out in whole mebibytes (preallocated WAL, memory-mapped vectors, disk images) is written in
// place as a rule; a file of another origin has such a size once in a million.
constexpr std::uint64_t kLaidOutBytes = 4ULL << 20;
constexpr std::uint64_t kLayoutUnit = 1ULL << 20;

std::uint32_t little16(const char* bytes) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[0])) |
           static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[1])) << 8;
}

// PageHeaderData (PostgreSQL's storage/bufpage.h, layout version 4 since 8.3): flags at 10, lower, upper and special
// at 12, 14 and 16, page size with the layout version at 18.
bool is_postgres_page(const char* page) {
    constexpr std::uint32_t kHeader = 24, kKnownFlags = 7, kLayout = 4;
    const std::uint32_t flags = little16(page + 10), lower = little16(page + 12), upper = little16(page + 14);
    const std::uint32_t special = little16(page + 16), size_and_layout = little16(page + 18);
    return size_and_layout == (kPageBytes | kLayout) && (flags & ~kKnownFlags) == 0 && kHeader <= lower &&
           lower <= upper && upper <= special && special <= kPageBytes;
}

bool has_postgres_pages(Bytes head) {
    bool has_one = false;
    for (std::size_t offset = 0; offset + kPageBytes <= head.size(); offset += kPageBytes) {
        const Bytes page = head.subspan(offset, kPageBytes);
        if (is_postgres_page(page.data())) {
            has_one = true;
        } else if (!is_zero(page)) {
            return false;
        }
    }
    return has_one;
}

}  // namespace

ContentKind recognise(std::uint64_t size, Bytes head) {
    if (size == 0) return ContentKind::kEmpty;
    if (size <= kSmallFileBytes) return ContentKind::kSmall;
    // Values of one size: none of them ever moves by less than the whole array does.
    if (is_float_array(head)) return ContentKind::kPages;
    if (size % kPageBytes != 0) return ContentKind::kStream;
    if (size >= kLaidOutBytes && size % kLayoutUnit == 0) return ContentKind::kPages;
    return has_postgres_pages(head) ? ContentKind::kPages : ContentKind::kStream;
}

bool is_zero(Bytes bytes) {
    if (bytes.empty()) return true;
    // The first byte is zero and every byte equals its neighbour.
    return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace aeterna::repository
