#include "repository/chunk/gear.h"

#include <algorithm>
#include <string>

#include "repository/crypto/keyed_hash.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kWindow = 64;   // bytes that a 64-bit h remembers
constexpr std::size_t kLane = 2048;   // how far ahead the second stream begins
// One place in 192 Ki cuts: chunks of 256 KiB on average, the minimum included.
constexpr std::uint64_t kThreshold = UINT64_MAX / (192U << 10);

}  // namespace

Gear::Gear(const SecretKey& key) {
    const KeyedHash hash(HashKind::kSha256, key);
    for (std::size_t i = 0; i < table_.size(); ++i) {
        const char number = static_cast<char>(i);
        const Id id = hash(Bytes(&number, 1));
        for (int byte = 7; byte >= 0; --byte) {  // little-endian
            table_[i] = table_[i] << 8 | static_cast<unsigned char>(id.bytes[static_cast<std::size_t>(byte)]);
        }
    }
}

std::uint64_t Gear::warm(const unsigned char* place) const {
    std::uint64_t hash = 0;
    for (const unsigned char* byte = place - kWindow; byte < place; ++byte) hash = (hash << 1) + table_[*byte];
    return hash;
}

std::size_t Gear::cut_plainly(Bytes bytes) const {
    const std::size_t end = std::min(bytes.size(), kMaxChunk);
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (end <= kMinChunk) return end;
    std::uint64_t hash = warm(data + kMinChunk);
    for (std::size_t i = kMinChunk; i < end; ++i) {
        hash = (hash << 1) + table_[data[i]];
        if (hash < kThreshold) return i + 1;
    }
    return end;
}

std::size_t Gear::cut(Bytes bytes) const {
    const std::size_t end = std::min(bytes.size(), kMaxChunk);
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (end <= kMinChunk) return end;
    std::size_t place = kMinChunk;
    std::uint64_t first = warm(data + place);
    for (; place + 2 * kLane <= end; place += 2 * kLane) {
        const unsigned char* a = data + place;
        const unsigned char* b = a + kLane;
        std::uint64_t second = warm(b);
        std::size_t later = 0;  // a cut in the second lane counts only when the first lane has none
        for (std::size_t i = 0; i < kLane; ++i) {
            first = (first << 1) + table_[a[i]];
            second = (second << 1) + table_[b[i]];
            if (first < kThreshold) return place + i + 1;
            if (second < kThreshold && later == 0) later = place + kLane + i + 1;
        }
        if (later != 0) return later;
        first = second;
    }
    for (; place < end; ++place) {
        first = (first << 1) + table_[data[place]];
        if (first < kThreshold) return place + 1;
    }
    return end;
}

}  // namespace aeterna::repository
