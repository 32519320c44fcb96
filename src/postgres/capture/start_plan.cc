#include "postgres/capture/start_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "postgres/client/wal.h"

namespace aeterna::postgres {
namespace {

const CapturedLog* find_log(const std::vector<CapturedLog>& logs, Timeline timeline) {
    const auto found = std::find_if(logs.begin(), logs.end(),
                                    [&](const CapturedLog& log) { return log.timeline == timeline && log.end; });
    return found == logs.end() ? nullptr : &*found;
}

Timeline newest_captured(const std::vector<CapturedLog>& logs) {
    Timeline newest = 0;
    for (const CapturedLog& log : logs) newest = std::max(newest, log.timeline);
    return newest;
}

}  // namespace

StartPlan plan_after_hole(const ServerTimeline& server) {
    StartPlan plan;
    plan.position = server.slot_restart - server.slot_restart % server.segment_bytes;
    const auto holder = std::find_if(server.history.begin(), server.history.end(),
                                     [&](const TimelineSwitch& past) { return plan.position < past.at; });
    plan.timeline = holder == server.history.end() ? server.timeline : holder->timeline;
    return plan;
}

Result<StartPlan> plan_start(const std::vector<CapturedLog>& logs, const ServerTimeline& server) {
    if (newest_captured(logs) > server.timeline) {
        return make_error(ErrorCode::kGuardRefused,
                          fmt::format("the server is on timeline {}, the repository already has timeline {}",
                                      server.timeline, newest_captured(logs)),
                          "It is an old primary that came back, or a restored copy: capture follows the newest timeline.");
    }
    if (const CapturedLog* log = find_log(logs, server.timeline)) {
        return StartPlan{.timeline = server.timeline, .position = *log->end};
    }
    Timeline successor = server.timeline;
    for (auto past = server.history.rbegin(); past != server.history.rend(); successor = past->timeline, ++past) {
        const CapturedLog* log = find_log(logs, past->timeline);
        if (!log) continue;
        if (*log->end < past->at) return StartPlan{.timeline = past->timeline, .position = *log->end};
        StartPlan plan{.timeline = successor, .position = past->at};
        if (*log->end > past->at) {
            plan.dead_timeline = past->timeline;
            plan.dead_from = past->at;
            plan.dead_to = *log->end;
        }
        return plan;
    }
    return plan_after_hole(server);
}

}  // namespace aeterna::postgres
