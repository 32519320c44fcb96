// postgres.replication_lag: a replica is further behind than Patroni's maximum_lag_on_failover, so
// that it could not take over without someone accepting a loss.
#include <fmt/core.h>

#include "postgres/detect/detectors/detectors.h"

namespace aeterna::postgres {

Verdict judge_replication_lag(const World& world, const NodeSettings& node) {
    if (world.primary == node.name) return Verdict::clear({"it is the primary"});
    const auto lag = world.lag_bytes(node.name);
    if (!lag) return Verdict::unknown({node.name + " SQL: no position to compare"});
    const std::int64_t limit = world.config().maximum_lag_on_failover;
    Verdict verdict;
    verdict.condition = *lag > limit;
    verdict.reasons = {fmt::format("{} SQL: {} bytes behind '{}' (limit {})", node.name, *lag,
                                   *world.primary, limit)};
    if (*verdict.condition) {
        verdict.summary =
            fmt::format("replica '{}' is {} bytes behind: too far to take over", node.name, *lag);
    }
    return verdict;
}

}  // namespace aeterna::postgres
