// postgres.replication_lag: a replica is further behind than Patroni's maximum_lag_on_failover, so
// that it could not take over without someone accepting a loss.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_replication_lag(const World& world, const NodeSettings& node) {
    if (world.primary == node.name) return Verdict::clear();
    const auto lag = world.lag_bytes(node.name);
    if (!lag) return Verdict::unknown();
    const std::int64_t limit = world.config().maximum_lag_on_failover;
    Verdict verdict;
    verdict.condition = *lag > limit;
    if (!*verdict.condition) return verdict;
    verdict.summary =
        fmt::format("replica '{}' is {} bytes behind: too far to take over", node.name, *lag);
    verdict.reasons = {fmt::format("{} SQL: {} bytes behind '{}' (limit {})", node.name, *lag,
                                   *world.primary, limit)};
    return verdict;
}

}  // namespace aeterna::postgres
