#include "app/cli/starter.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace aeterna::app {

Starter Starter::find(env::Processes& processes) {
    Starter starter(processes);
    const auto self = processes.inspect(processes.own_pid());
    auto one = self ? processes.inspect(self->parent_pid) : std::nullopt;
    while (one) {
        starter.ancestors_.push_back(*one);
        one = processes.inspect(one->parent_pid);
        if (one && one->group != self->group) break;
    }
    return starter;
}

Status Starter::still_there() const {
    for (const env::ProcessInfo& one : ancestors_) {
        if (!processes_->is_alive(one.id)) {
            return make_error(ErrorCode::kCancelled,
                              fmt::format("'{}' (process {}), which has started this, is gone", one_line(one.command), one.id.pid),
                              "What is half done is of no use: remove it and begin anew.");
        }
    }
    return {};
}

}  // namespace aeterna::app
