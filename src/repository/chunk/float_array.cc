#include "repository/chunk/float_array.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace aeterna::repository {
namespace {

constexpr std::size_t kWidth = 4;
constexpr std::size_t kSampleValues = 1024;
constexpr std::size_t kLeastBytes = 2 * kWidth * kSampleValues;
// 1,024 random bytes show about 7.8 of their 8 bits; a normal distribution's exponents have about 2.7 with the sign.
constexpr double kNoise = 7.6, kMostlyNoise = 7.0, kExponents = 5.0;

double entropy(const std::array<std::uint16_t, 256>& counts) {
    double bits = 0;
    for (const std::uint16_t count : counts) {
        if (count == 0) continue;
        const double share = static_cast<double>(count) / kSampleValues;
        bits -= share * std::log2(share);
    }
    return bits;
}

// Six times as fast where the compiler sees how many values there are: then it deals out many at once.
constexpr std::size_t kStep = 64;

inline void deal_out(const char* __restrict from, std::size_t count, char* __restrict p0, char* __restrict p1,
                     char* __restrict p2, char* __restrict p3) {
    for (std::size_t i = 0; i < count; ++i) {
        p0[i] = from[kWidth * i];
        p1[i] = from[kWidth * i + 1];
        p2[i] = from[kWidth * i + 2];
        p3[i] = from[kWidth * i + 3];
    }
}

inline void gather(const char* __restrict p0, const char* __restrict p1, const char* __restrict p2,
                   const char* __restrict p3, std::size_t count, char* __restrict to) {
    for (std::size_t i = 0; i < count; ++i) {
        to[kWidth * i] = p0[i];
        to[kWidth * i + 1] = p1[i];
        to[kWidth * i + 2] = p2[i];
        to[kWidth * i + 3] = p3[i];
    }
}

}  // namespace

bool is_float_array(Bytes bytes) {
    if (bytes.size() < kLeastBytes) return false;
    // From the middle, where no header is; at a multiple of four from the front.
    const std::size_t begin = (bytes.size() / 2 - kWidth * kSampleValues / 2) / kWidth * kWidth;
    const Bytes sample = bytes.subspan(begin, kWidth * kSampleValues);
    std::array<double, kWidth> planes{};
    for (std::size_t plane = 0; plane < kWidth; ++plane) {
        std::array<std::uint16_t, 256> counts{};
        for (std::size_t i = plane; i < sample.size(); i += kWidth) ++counts[static_cast<unsigned char>(sample[i])];
        planes[plane] = entropy(counts);
        if (plane > 0 && planes[plane] < kMostlyNoise && planes[plane - 1] < kMostlyNoise) return false;
    }
    std::sort(planes.begin(), planes.end());
    return planes[0] <= kExponents && planes[1] >= kMostlyNoise && planes[2] >= kNoise;
}

void split_planes(Bytes bytes, std::span<char> out) {
    AETERNA_CHECK(out.size() == bytes.size());
    const std::size_t count = bytes.size() / kWidth;
    char *const p0 = out.data(), *const p1 = p0 + count, *const p2 = p1 + count, *const p3 = p2 + count;
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep) deal_out(bytes.data() + kWidth * i, kStep, p0 + i, p1 + i, p2 + i, p3 + i);
    deal_out(bytes.data() + kWidth * i, count - i, p0 + i, p1 + i, p2 + i, p3 + i);
    std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(kWidth * count), bytes.end(),
              out.begin() + static_cast<std::ptrdiff_t>(kWidth * count));
}

void join_planes(Bytes planes, std::span<char> out) {
    AETERNA_CHECK(out.size() == planes.size());
    const std::size_t count = planes.size() / kWidth;
    const char *const p0 = planes.data(), *const p1 = p0 + count, *const p2 = p1 + count, *const p3 = p2 + count;
    std::size_t i = 0;
    for (; i + kStep <= count; i += kStep) gather(p0 + i, p1 + i, p2 + i, p3 + i, kStep, out.data() + kWidth * i);
    gather(p0 + i, p1 + i, p2 + i, p3 + i, count - i, out.data() + kWidth * i);
    std::copy(planes.begin() + static_cast<std::ptrdiff_t>(kWidth * count), planes.end(),
              out.begin() + static_cast<std::ptrdiff_t>(kWidth * count));
}

}  // namespace aeterna::repository
