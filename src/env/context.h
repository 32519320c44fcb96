// Context: what every blocking call is given: until when, whether somebody wants it to stop, on whose behalf.
#pragma once

#include <algorithm>
#include <stop_token>
#include <string>
#include <utility>

#include "base/time.h"

namespace aeterna::env {

struct Context {
    MonoTime deadline;
    std::stop_token stop;
    std::string run_id;  // execution, drill or probe round; for the log

    // The same, but no later than `until`.
    [[nodiscard]] Context until(MonoTime other) const {
        Context narrowed = *this;
        narrowed.deadline = std::min(deadline, other);
        return narrowed;
    }
};

}  // namespace aeterna::env
