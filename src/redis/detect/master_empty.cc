// redis.master_empty: a master without persistence that restarts within down-after keeps its role,
// and its replicas copy its emptiness (5 s later with the default repl-diskless-sync-delay of Redis
// 7, at once with older ones).
//
// Two nodes prove it (has_lost_its_data): the master says that it is young, has loaded nothing and
// writes a history of its own; a replica says that it still has keys of another one.
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
                    node.name + (*opinion.condition ? " is master and came back without its data"
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
            if (!replica || replica->role.is_master() || replica->role.follows != node.address)
                continue;
            if (has_lost_its_data(seen.info, replica->info))
                reasons.push_back(fmt::format("{} INFO: {} keys of another history", entry.first,
                                              replica->info.keys));
        }
        if (!reasons.empty())
            reasons.insert(reasons.begin(),
                           fmt::format("{} INFO: master, {} keys, up for {} s", node.name,
                                       seen.info.keys, seen.info.uptime_seconds));
        return reasons;
    }
};

}  // namespace

std::unique_ptr<Detector> make_master_empty() { return std::make_unique<MasterEmpty>(); }

}  // namespace aeterna::redis
