// Gear: cuts a stream of bytes where its content says so, so that an insertion moves no cut but its neighbours.
//
// The hash of a place is h = 2h + table[byte], in 64 bits: it depends on the last 64 bytes alone. A chunk ends after
// the first byte past kMinChunk whose h is below a threshold, at kMaxChunk at the latest. Because of the short memory
// two places of the stream can be hashed at once, which keeps the CPU twice as busy; the cuts are the same.
// The table comes from the repository's key: who reads the packs' lengths learns nothing about known files.
#pragma once

#include <array>
#include <cstdint>

#include "repository/crypto/secret_key.h"
#include "repository/id.h"

namespace aeterna::repository {

inline constexpr std::size_t kMinChunk = 64 << 10;
inline constexpr std::size_t kMaxChunk = 1 << 20;

class Gear {
  public:
    explicit Gear(const SecretKey& key);
    // The length of the chunk at the front of `bytes`. A result equal to bytes.size() < kMaxChunk means that there is
    // no cut yet: either it is the end, or more bytes have to be given.
    [[nodiscard]] std::size_t cut(Bytes bytes) const;
    // The same by one stream: the definition, and what the tests compare with.
    [[nodiscard]] std::size_t cut_plainly(Bytes bytes) const;

  private:
    [[nodiscard]] std::uint64_t warm(const unsigned char* place) const;
    std::array<std::uint64_t, 256> table_{};
};

}  // namespace aeterna::repository
