#include "repository/crypto/sha256_lanes.h"

#include "base/check.h"

#if defined(__x86_64__)
// GCC 12 sees values that may be uninitialised in the intrinsics' own header (its bug 105593).
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#endif

namespace aeterna::repository {

#if defined(__x86_64__)
namespace {

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
constexpr std::uint32_t kRounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define AETERNA_LANES __attribute__((target("avx512f,avx512bw"), always_inline)) inline

// The truth tables of vpternlogd for a ^ b ^ c, for (a & b) ^ (~a & c) and for the majority.
constexpr int kXor = 0x96, kChoose = 0xCA, kMajority = 0xE8;

AETERNA_LANES __m512i add(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }

AETERNA_LANES __m512i big_sigma_0(__m512i x) {
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 2), _mm512_ror_epi32(x, 13), _mm512_ror_epi32(x, 22), kXor);
}
AETERNA_LANES __m512i big_sigma_1(__m512i x) {
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 6), _mm512_ror_epi32(x, 11), _mm512_ror_epi32(x, 25), kXor);
}
AETERNA_LANES __m512i small_sigma_0(__m512i x) {
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 7), _mm512_ror_epi32(x, 18), _mm512_srli_epi32(x, 3), kXor);
}
AETERNA_LANES __m512i small_sigma_1(__m512i x) {
    return _mm512_ternarylogic_epi32(_mm512_ror_epi32(x, 17), _mm512_ror_epi32(x, 19), _mm512_srli_epi32(x, 10), kXor);
}

// The next block of every text, word by word: a transposition of 16 times 16 words, big-endian.
AETERNA_LANES void load_words(const Sha256LaneTexts& texts, std::size_t offset, __m512i* words) {
    const __m512i swap = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL));
    __m512i a[16], b[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
        a[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(texts[static_cast<std::size_t>(i)] + offset), swap);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {  // pairs of rows
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {  // a[i + j]: of four rows the words j, j + 4, j + 8, j + 12
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512i low = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x44), high = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xEE);
        const __m512i low_2 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x44);
        const __m512i high_2 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xEE);
        words[i] = _mm512_shuffle_i32x4(low, low_2, 0x88);
        words[i + 4] = _mm512_shuffle_i32x4(low, low_2, 0xDD);
        words[i + 8] = _mm512_shuffle_i32x4(high, high_2, 0x88);
        words[i + 12] = _mm512_shuffle_i32x4(high, high_2, 0xDD);
    }
}

__attribute__((target("avx512f,avx512bw"))) void compress(Sha256LaneStates& states, const Sha256LaneTexts& texts,
                                                          std::size_t blocks) {
    __m512i state[8];
    for (std::size_t i = 0; i < 8; ++i) state[i] = _mm512_loadu_si512(states[i].data());
    for (std::size_t block = 0; block < blocks; ++block) {
        __m512i w[16];
        load_words(texts, block * kSha256Block, w);
        __m512i a = state[0], b = state[1], c = state[2], d = state[3];
        __m512i e = state[4], f = state[5], g = state[6], h = state[7];
#pragma GCC unroll 64
        for (int i = 0; i < 64; ++i) {
            const int now = i & 15;
            if (i >= 16) {
                w[now] = add(add(w[now], small_sigma_0(w[(i + 1) & 15])),
                             add(w[(i + 9) & 15], small_sigma_1(w[(i + 14) & 15])));
            }
            const __m512i sum = add(add(add(h, w[now]), _mm512_set1_epi32(static_cast<int>(kRounds[i]))),
                                    add(big_sigma_1(e), _mm512_ternarylogic_epi32(e, f, g, kChoose)));
            h = g;
            g = f;
            f = e;
            e = add(d, sum);
            const __m512i rest = add(big_sigma_0(a), _mm512_ternarylogic_epi32(a, b, c, kMajority));
            d = c;
            c = b;
            b = a;
            a = add(sum, rest);
        }
        const __m512i done[8] = {a, b, c, d, e, f, g, h};
        for (std::size_t i = 0; i < 8; ++i) state[i] = add(state[i], done[i]);
    }
    for (std::size_t i = 0; i < 8; ++i) _mm512_storeu_si512(states[i].data(), state[i]);
}

#undef AETERNA_LANES
#pragma GCC diagnostic pop

}  // namespace

bool has_sha256_lanes() { return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0; }

void compress_lanes(Sha256LaneStates& states, const Sha256LaneTexts& texts, std::size_t blocks) {
    compress(states, texts, blocks);
}

#else

bool has_sha256_lanes() { return false; }

void compress_lanes(Sha256LaneStates&, const Sha256LaneTexts&, std::size_t) { AETERNA_CHECK(has_sha256_lanes()); }

#endif

}  // namespace aeterna::repository
