// Keeps the logs of a repository in few pieces while they are captured: a thread's work, beside the writers and never in
// their way (repository/log_segments.h says why it may run beside anything).
#pragma once

#include <functional>
#include <set>
#include <string>

#include "env/env.h"
#include "repository/repository.h"

namespace aeterna::engine {

struct LogMergerSettings {
    Duration every = std::chrono::minutes(5);
    // The logs that are appended to right now.
    std::function<std::set<std::string>()> growing;
    std::function<void(const std::string&)> tell;  // what went wrong; it is tried again
};

// Until stop: every log at first, for others may have left it in pieces; then those that grow, and once more those that have
// ended. All references must outlive it.
void keep_logs_merged(repository::Repository& repository, const env::Env& env, const LogMergerSettings& settings,
                      const std::stop_token& stop);

}  // namespace aeterna::engine
