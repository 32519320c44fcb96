// The status of a stack as lines of text: for `status`, and frame by frame for `status --watch`. Pure.
// No line is ever wider than `width`; with a `height`, healthy nodes are drawn together and lesser lines left out
// until the frame fits, and a last line says so.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/stack.h"
#include "engine/status.h"

namespace aeterna::app {

struct StatusView {
    engine::StackStatus status;
    std::map<std::string, config::Objectives> objectives;  // by store
    config::Objectives overall;
    std::vector<std::string> notices;  // "serve is not running: …"
};

struct RenderOptions {
    std::size_t width = 80;
    std::size_t height = 0;  // 0 = as many lines as it takes
    bool color = false;
};

[[nodiscard]] std::vector<std::string> render_status(const StatusView& view, const RenderOptions& options);

// "0 B", "812 B", "3.4 MiB".
[[nodiscard]] std::string human_bytes(std::int64_t bytes);
// "5 min", "90 s", "1 h 30 min": whole units without noise.
[[nodiscard]] std::string human_objective(Duration duration);

}  // namespace aeterna::app
