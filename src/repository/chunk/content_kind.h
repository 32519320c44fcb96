// What kind of content a file has decides how it is cut: recognised from its size and its first pages, never from its
// name alone (a name says nothing in a base backup of an unknown extension).
#pragma once

#include <cstdint>

#include "repository/id.h"

namespace aeterna::repository {

inline constexpr std::size_t kPageBytes = 8192;       // PostgreSQL's block
inline constexpr std::size_t kPagesPerGroup = 128;
// The last page of a file may be shorter.
[[nodiscard]] constexpr std::uint64_t pages_in(std::uint64_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes; }
inline constexpr std::size_t kGroupBytes = kPageBytes * kPagesPerGroup;
// Large files are worked on in segments: the unit of parallel work, of maps, and a forced cut.
inline constexpr std::uint64_t kSegmentBytes = 64ULL << 20;
inline constexpr std::uint64_t kSmallFileBytes = 64ULL << 10;
// How much of a file's front `recognise` wants to see.
inline constexpr std::size_t kHeadBytes = 4 * kPageBytes;

// The numbers are part of the format.
enum class ContentKind : std::uint8_t {
    kEmpty = 0,
    kSmall = 1,   // at most kSmallFileBytes: bundled with its neighbours into one chunk
    kStream = 2,  // content-defined chunks
    kPages = 3,   // written in place: groups of pages, compared with the map of the last backup
};

// `head`: the first min(size, kHeadBytes) bytes.
[[nodiscard]] ContentKind recognise(std::uint64_t size, Bytes head);

// Whether every byte is zero.
[[nodiscard]] bool is_zero(Bytes bytes);

}  // namespace aeterna::repository
