#include "report/node_tone.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/strings.h"

namespace aeterna::report {
namespace {

constexpr std::array<std::string_view, 16> kUpWords = {
    "running", "streaming", "online",  "connected", "ok",       "up",       "active",  "healthy",
    "ready",   "listening", "leader",  "follower",  "monitoring", "in archive recovery", "green", "serving"};
constexpr std::array<std::string_view, 14> kDownWords = {
    "unreachable", "stopped", "down",   "refused", "dead",   "silent",       "crashed",
    "failed",      "start failed", "s_down", "o_down", "timeout", "disconnected", "not running"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

NodeTone node_tone(const engine::NodeStatus& node) {
    const std::string state = lower(node.state);
    if (state.empty() || state == "unknown") return NodeTone::kUnknown;
    if (contains(kUpWords, state)) return NodeTone::kUp;
    if (contains(kDownWords, state)) return NodeTone::kDown;
    return NodeTone::kImpaired;
}

}  // namespace aeterna::report
