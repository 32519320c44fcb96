// Levelling and choosing.
#include "redis/steps/candidates.h"

#include <algorithm>

#include "redis/steps/explain_stuck.h"
#include "redis/steps/support.h"

namespace aeterna::redis {
namespace {

constexpr Duration kLevelling = 2s;
constexpr Duration kCandidatesInterval = 10ms;

std::int64_t offset_of(const DeathInput& input, const RedisNode* node) {
    for (const ReplicaAnswer& replica : input.replicas)
        if (replica.node == node && replica.info) return replica.info->replica_offset;
    return -1;
}

bool is_among(const std::vector<const RedisNode*>& nodes, const RedisNode* node) {
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool answers(const DeathInput& input, const RedisNode* node) {
    return std::any_of(input.replicas.begin(), input.replicas.end(),
                       [&](const ReplicaAnswer& replica) { return replica.node == node && replica.info; });
}

// It lives, and the Sentinel has just not heard of it yet: it chooses a moment after it was told.
bool may_be_heard_of(const ReplicaView& replica, const SentinelOpinion& opinion, const RedisNode* node, const DeathInput& input) {
    return answers(input, node) && why_lastingly_unpromotable(replica, opinion.master).empty();
}

}  // namespace

std::vector<const RedisNode*> level_replicas(Cluster& cluster, const DeathInput& input,
                                             const env::Context& context) {
    const auto fit = fit_replicas(input);
    if (fit.empty()) return {};
    const RedisNode* fullest = fit.front();
    const std::int64_t offset = offset_of(input, fullest);
    std::vector<const RedisNode*> level;
    std::vector<const RedisNode*> behind;
    for (const RedisNode* node : fit)
        (offset_of(input, node) >= offset ? level : behind).push_back(node);
    for (const RedisNode* node : behind)
        static_cast<void>(cluster.order(
            *node, {"REPLICAOF", fullest->address.host, std::to_string(fullest->address.port)},
            context));
    const env::Context soon = cluster.env().clock.within(kLevelling, context);
    static_cast<void>(poll(cluster.env(), soon, kCandidatesInterval, [&]() -> Result<bool> {
        std::erase_if(behind, [&](const RedisNode* node) {
            const auto role = cluster.role(*node, soon);
            if (!role || role->offset < offset || !role->is_connected_replica()) return false;
            level.push_back(node);
            return true;
        });
        return behind.empty();
    }));
    return level;
}

std::vector<const RedisNode*> able_sentinels(const DeathInput& input,
                                             const std::vector<const RedisNode*>& level) {
    std::vector<const RedisNode*> able;
    std::vector<const RedisNode*> lonely;
    for (std::size_t i = 0; i < input.sentinels.size(); ++i) {
        const auto& opinion = input.sentinels[i].opinion;
        if (!opinion || opinion->master.address != input.master.address) continue;
        bool has_any = false;
        bool is_safe = true;
        for (const ReplicaView& replica : opinion->replicas) {
            const RedisNode* node = input.settings.node_at(replica.address);
            const bool is_promotable = why_not_promotable(replica, opinion->master).empty();
            has_any = has_any || is_promotable;
            const bool may_be_chosen = is_promotable || may_be_heard_of(replica, *opinion, node, input);
            is_safe = is_safe && (is_among(level, node) || !may_be_chosen);
        }
        if (has_any && is_safe)
            (opinion->has_quorum ? able : lonely).push_back(&input.settings.sentinels[i]);
    }
    able.insert(able.end(), lonely.begin(), lonely.end());
    return able;
}

}  // namespace aeterna::redis
