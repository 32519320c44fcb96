// Frames of a full-screen view: only what differs from the frame before is written, so that nothing flickers. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace aeterna::app {

// The bytes that turn a screen that shows `before` into one that shows `after`; empty when they are equal. Both have
// at most as many lines as the screen has rows, each no wider than the screen.
[[nodiscard]] std::string frame_update(const std::vector<std::string>& before,
                                       const std::vector<std::string>& after);
// As above for a screen whose content is unknown (first frame, after a resize).
[[nodiscard]] std::string frame_full(const std::vector<std::string>& after);

}  // namespace aeterna::app
