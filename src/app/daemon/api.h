// The HTTP answers of serve: pure functions of a snapshot. GET /healthz, /metrics, /status, /incidents.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "env/net.h"
#include "report/metrics.h"

namespace aeterna::app {

// What the judge published last; never changed afterwards.
struct Snapshot {
    engine::StackStatus status;  // with open incidents
    std::vector<std::pair<std::string, std::string>> detectors;  // (store, detector)
    MonoTime judged_at{};
};

struct ApiInput {
    std::shared_ptr<const Snapshot> snapshot;           // null before the first judgement
    std::vector<report::ProbeTiming> probes;            // for /metrics
    // Recent ones, for /incidents; nothing when the journal cannot be read, which is not the same as none.
    std::optional<std::vector<engine::IncidentSummary>> incidents = std::vector<engine::IncidentSummary>{};
    std::string stack;
    MonoTime now;
    WallTime wall_now;
};

// A judgement older than this is no longer shown as the present: /healthz and /status answer 503.
inline constexpr Duration kStaleAfter = std::chrono::seconds(5);

// 404 for other paths, 405 for other methods, 503 while there is no fresh judgement.
[[nodiscard]] env::ServerResponse answer(const env::ServerRequest& request, const ApiInput& input);

}  // namespace aeterna::app
