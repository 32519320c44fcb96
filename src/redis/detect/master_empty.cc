// redis.master_empty: a master that restarts within down-after keeps its role. One that came back empty, or with an
// older RDB file, gives its replicas that instead of what they have (5 s later with the default
// repl-diskless-sync-delay of Redis 7, at once with older ones).
//
// Two nodes prove it (lost_data): the master says what it began with, and a replica what it has more.
#include <fmt/core.h>

#include "redis/detect/detector.h"

namespace aeterna::redis {
namespace {

class MasterEmpty final : public Detector {
  public:
    MasterEmpty() : Detector("redis.master_empty", engine::Severity::kCritical, {0s, 1s}) {}

    std::vector<engine::Finding> judge(const Snapshot& snapshot) override {
        const auto master = supposed_master(snapshot);
        std::vector<engine::Finding> findings;
        for (const RedisNode& node : snapshot.settings->nodes) {
            Opinion opinion;
            if (const NodeObservation* seen = fresh_node(snapshot, node.name)) {
                if (master == node.name) opinion.reasons = proof(node, *seen, snapshot);
                opinion.condition = !opinion.reasons.empty();
                opinion.is_strong = *opinion.condition;
                opinion.summary =
                    node.name + (*opinion.condition ? " is master and came back with less than its replicas have"
                                                    : " has not lost its data");
            }
            findings.push_back(settle(node.name, std::move(opinion), snapshot));
        }
        return findings;
    }

  private:
    static std::vector<std::string> proof(const RedisNode& node, const NodeObservation& seen,
                                          const Snapshot& snapshot) {
        std::vector<std::string> reasons;
        if (!seen.role.is_master()) return reasons;
        for (const auto& entry : snapshot.nodes) {
            const NodeObservation* replica = fresh_node(snapshot, entry.first);
            if (!replica || replica->role.is_master() || replica->role.follows != node.address) continue;
            if (const std::string lost = lost_data(seen.info, replica->info); !lost.empty())
                reasons.push_back(fmt::format("{} INFO: {}", entry.first, lost));
        }
        if (!reasons.empty())
            reasons.insert(reasons.begin(), fmt::format("{} INFO: master, {} keys, up for {} s", node.name,
                                                        seen.info.keys, seen.info.uptime_seconds));
        return reasons;
    }
};

}  // namespace

std::unique_ptr<Detector> make_master_empty() { return std::make_unique<MasterEmpty>(); }

}  // namespace aeterna::redis
