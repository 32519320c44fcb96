// Sha256Lanes: SHA-256 (FIPS 180-4) of sixteen texts at once, a text in each lane of the CPU's 512-bit registers. Twice as
// fast as the CPU's own SHA instructions, which take one text whose every step waits for the one before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace aeterna::repository {

inline constexpr std::size_t kSha256Lanes = 16;
inline constexpr std::size_t kSha256Block = 64;

// Word by word: the eight words of all lanes' states.
using Sha256LaneStates = std::array<std::array<std::uint32_t, kSha256Lanes>, 8>;
using Sha256LaneTexts = std::array<const char*, kSha256Lanes>;

// Whether this CPU can (AVX-512 F and BW, enabled by the system); the next call must not be made where it cannot.
[[nodiscard]] bool has_sha256_lanes();

// Takes `blocks` blocks of each text into its state. Padding is the caller's.
void compress_lanes(Sha256LaneStates& states, const Sha256LaneTexts& texts, std::size_t blocks);

}  // namespace aeterna::repository
