// Arrays of float32: what vector stores keep. Embeddings have few exponents and noise for mantissas, so of each four bytes one
// says little and the others as much as they can.
#pragma once

#include <span>

#include "repository/id.h"

namespace aeterna::repository {

// Whether `bytes` look like such an array (at any of the four alignments), by a sample of 1,024 values. Text, compressed bytes,
// integers and pages of a database do not; doubles may, to no harm. False below 8 KiB.
[[nodiscard]] bool is_float_array(Bytes bytes);

// Deals bytes out to four planes: those at places 0, 4, 8 …, then 1, 5, 9 … and so on; what is left of the last four stays at
// the end. `out` is as long as `bytes`.
void split_planes(Bytes bytes, std::span<char> out);
// The way back.
void join_planes(Bytes planes, std::span<char> out);

}  // namespace aeterna::repository
