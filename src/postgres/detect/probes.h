// Probes: one per vantage, each with its own connection, none with an opinion. They post onto the
// board; judgement is the detectors'. Also used for one round of looking by the steps
// (steps/live.h).
#pragma once

#include <memory>
#include <vector>

#include "engine/detect/monitor.h"
#include "postgres/detect/board.h"
#include "services/prometheus.h"

namespace aeterna::postgres {

// The tasks refer to `settings`, `env` and `board`. With `heartbeat` set, the primary is written to
// as well as read (and also through the client path); only with the standing approval.
[[nodiscard]] std::vector<engine::ProbeTask> make_probes(const Settings& settings,
                                                         const env::Env& env, Board& board,
                                                         bool heartbeat);

// Matches what Prometheus returned for `up` and `pg_up` by instance.
[[nodiscard]] ExporterView merge_exporter_samples(
    const std::vector<services::PrometheusSample>& up,
    const std::vector<services::PrometheusSample>& pg_up);

}  // namespace aeterna::postgres
