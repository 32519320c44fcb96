// Statistics of repeated drills. Always n, median, max and failures; never a mean alone. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/json.h"

namespace aeterna::engine {

struct Scorecard;

// Of a non-empty list; the mean of the two middle ones when even.
[[nodiscard]] double median(std::vector<double> values);

// The lower end of the one-sided exact (Clopper-Pearson) interval: with this `confidence` the true pass rate is at
// least this. n passes of n give (1 - confidence)^(1/n): 59 of 59 give 95 %.
[[nodiscard]] double pass_rate_lower_bound(std::size_t passes, std::size_t runs, double confidence);

// {"postgres": {"rto_seconds": {"n","median","max","censored"}, "client_rto_seconds": …, "detect_seconds": …,
// "lost": {"total","max"}}, …}. Runs whose outage never ended are counted as censored, not dropped silently.
[[nodiscard]] Json summarise_stores(const std::vector<Scorecard>& repeats);

}  // namespace aeterna::engine
