#include "app/cli/frame.h"

#include <fmt/format.h>

#include <algorithm>

namespace aeterna::app {
namespace {

// Erases before it writes: after a line of full width the cursor rests on the last cell, which would be erased.
std::string paint_row(std::size_t row, const std::string& text) {
    return fmt::format("\x1b[{};1H\x1b[K{}", row + 1, text);
}

}  // namespace

std::string frame_update(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    std::string out;
    for (std::size_t row = 0; row < std::max(before.size(), after.size()); ++row) {
        const std::string& text = row < after.size() ? after[row] : std::string();
        if (row < before.size() && before[row] == text) continue;
        out += paint_row(row, text);
    }
    return out;
}

std::string frame_full(const std::vector<std::string>& after) {
    std::string out = "\x1b[2J";
    for (std::size_t row = 0; row < after.size(); ++row) out += paint_row(row, after[row]);
    return out;
}

}  // namespace aeterna::app
