// The data and its disk: redis.cache_miss_100, redis.persistence_failed, redis.loading.
#include <fmt/core.h>

#include "redis/detect/detector.h"
#include "redis/detect/lookups.h"

namespace aeterna::redis {
namespace {

using engine::Finding;
using engine::Severity;

constexpr std::int64_t kEnoughLookups = 20;

class CacheMiss final : public Detector {
  public:
    CacheMiss() : Detector("redis.cache_miss_100", Severity::kDegraded, {2s, 2s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        const auto lookups = lookups_in_window(snapshot);
        Opinion opinion;
        if (lookups) {
            const auto& [hits, misses] = *lookups;
            opinion.condition = misses >= kEnoughLookups && hits == 0;
            opinion.summary = *opinion.condition ? "every look-up missed the cache"
                              : hits + misses == 0 ? "no look-ups" : "look-ups hit the cache";
            opinion.reasons.push_back(fmt::format("INFO of the nodes: {} hits, {} misses in {} s", hits, misses,
                                                  static_cast<int>(to_seconds(kLookupWindow))));
        }
        return {settle(snapshot.settings->master_name, std::move(opinion), snapshot)};
    }
};

class PersistenceFailed final : public Detector {
  public:
    PersistenceFailed() : Detector("redis.persistence_failed", Severity::kDegraded, {1s, 1s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            Opinion opinion;
            if (const NodeObservation* seen = fresh_node(snapshot, node.name)) {
                const NodeInfo& info = seen->info;
                if (!info.is_rdb_ok) opinion.reasons.push_back(node.name + " INFO: rdb_last_bgsave_status:err");
                if (!info.is_aof_write_ok)
                    opinion.reasons.push_back(node.name + " INFO: aof_last_write_status:err");
                if (!info.is_aof_rewrite_ok)
                    opinion.reasons.push_back(node.name + " INFO: aof_last_bgrewrite_status:err");
                opinion.condition = !opinion.reasons.empty();
                opinion.summary = node.name + (*opinion.condition ? " fails to write its data to disk"
                                                                  : " writes its data to disk");
            }
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }
};

class Loading final : public Detector {
  public:
    Loading() : Detector("redis.loading", Severity::kCritical, {15s, 1s}) {}

    std::vector<Finding> judge(const Snapshot& snapshot) override {
        const auto master = supposed_master(snapshot);
        std::vector<Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            Opinion opinion;
            if (const NodeObservation* seen = fresh_node(snapshot, node.name)) {
                opinion.condition = seen->info.is_loading && master == node.name;
                opinion.summary = node.name + (*opinion.condition ? " is master and loads its data"
                                                                  : " does not hold up writes by loading");
                if (*opinion.condition)
                    opinion.reasons.push_back(node.name +
                                              " INFO: loading:1; Sentinel counts it as alive and will not act");
            }
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }
};

}  // namespace

std::unique_ptr<Detector> make_cache_miss() { return std::make_unique<CacheMiss>(); }
std::unique_ptr<Detector> make_persistence_failed() { return std::make_unique<PersistenceFailed>(); }
std::unique_ptr<Detector> make_loading() { return std::make_unique<Loading>(); }

}  // namespace aeterna::redis
