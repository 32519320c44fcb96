// The Prometheus text exposition (format 0.0.4) of what `serve` knows. Pure. Base units; states as 0/1 per label.
//
// What is not known is absent, never 0: no aeterna_node_up for a node that nobody has asked yet, no
// aeterna_replication_lag_bytes without a measurement, and aeterna_<store>_cluster_status either with all three of
// status="Green|Yellow|Red" or, while the cluster's state is unknown, with none. An alert on "Red" therefore never
// fires out of ignorance, and absent() tells ignorance itself. aeterna_incidents_open is there for every detector.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "engine/status.h"

namespace aeterna::report {

struct ProbeTiming {
    std::string store;
    std::string probe;
    Duration last{};  // of the last finished run
};

struct MetricsInput {
    engine::StackStatus status;
    std::vector<ProbeTiming> probes;
    std::vector<std::pair<std::string, std::string>> detectors;  // (store, detector) of all there are
    std::string version;
};

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

[[nodiscard]] std::string render_metrics(const MetricsInput& input);

}  // namespace aeterna::report
