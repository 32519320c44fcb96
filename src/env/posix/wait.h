// Waiting for descriptors until a context's deadline or stop request.
#pragma once

#include <poll.h>

#include <span>
#include <string>

#include "base/result.h"
#include "env/context.h"

namespace aeterna::env {

// Milliseconds that one poll(2) may take now: until the deadline, cut short where a stop request must be seen.
[[nodiscard]] int poll_slice_ms(const Context& context);

// kCancelled or kTimeout when the context is over; `what` leads the message.
[[nodiscard]] Status check_context(const Context& context, const std::string& what);

// Blocks until one of the descriptors is ready (revents are set), else kTimeout or kCancelled. Descriptors that
// are ready already win over a passed deadline.
[[nodiscard]] Status wait_ready(std::span<pollfd> descriptors, const Context& context,
                                const std::string& what);
[[nodiscard]] Status wait_ready(int descriptor, short events, const Context& context,
                                const std::string& what);

}  // namespace aeterna::env
