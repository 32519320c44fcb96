// Which parts of the logs the kept backups need. Pure. A backup needs its log from its own start on (that of the
// log's parent too where it starts before the log does), and every log that goes on from that one (its descendants) from the beginning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repository/catalog.h"
#include "repository/log_segments.h"

namespace aeterna::repository {

struct LogState {
    std::string name;
    std::optional<LogOrigin> origin;
};

struct LogDecision {
    enum class Act {
        kKeep,
        kTrim,    // what ends at or before `before` is needed no more
        kRemove,  // nothing of it is needed
    };
    std::string log;
    Act act = Act::kKeep;
    std::uint64_t before = 0;
    std::string reason;
};

// In the order of `logs`. A log that nothing refers to is kept: its first backup may be under way.
[[nodiscard]] std::vector<LogDecision> decide_logs(const std::vector<LogState>& logs, const std::vector<Backup>& kept);

}  // namespace aeterna::repository
