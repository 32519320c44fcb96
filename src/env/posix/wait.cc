#include "env/posix/wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "env/posix/errors.h"

namespace aeterna::env {
namespace {

// A stop request is seen within this time.
constexpr int kStopSliceMs = 50;

}  // namespace

int poll_slice_ms(const Context& context) {
    const auto left = context.deadline - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) return 0;
    const int cap = context.stop.stop_possible() ? kStopSliceMs : 60'000;
    const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::min<std::int64_t>(left_ms, cap));
}

Status check_context(const Context& context, const std::string& what) {
    if (context.stop.stop_requested()) {
        return make_error(ErrorCode::kCancelled, fmt::format("{}: stopped", what));
    }
    if (std::chrono::steady_clock::now() >= context.deadline) {
        return make_error(ErrorCode::kTimeout, fmt::format("{}: no answer in time", what));
    }
    return {};
}

Status wait_ready(std::span<pollfd> descriptors, const Context& context, const std::string& what) {
    while (true) {
        const int ready = ::poll(descriptors.data(), descriptors.size(), poll_slice_ms(context));
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return socket_error(errno, what);
        AETERNA_TRY(check_context(context, what));
    }
}

Status wait_ready(int descriptor, short events, const Context& context, const std::string& what) {
    pollfd one{descriptor, events, 0};
    return wait_ready(std::span<pollfd>(&one, 1), context, what);
}

}  // namespace aeterna::env
