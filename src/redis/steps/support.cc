// Shared parts of the steps.
#include "redis/steps/support.h"

namespace aeterna::redis {

const RedisNode* RedisStep::node_of(const Json& facts, const char* key) const {
    const auto name = find_string(facts, key);
    return name ? settings().find_node(*name) : nullptr;
}

Result<bool> poll(const env::Env& env, const env::Context& context, Duration interval,
                  const std::function<Result<bool>()>& done) {
    while (true) {
        AETERNA_ASSIGN(const bool is_done, done());
        if (is_done) return true;
        if (env.clock.now() + interval >= context.deadline) return false;
        if (!env.clock.sleep_for(interval, context.stop))
            return make_error(ErrorCode::kCancelled, "stopped while waiting");
    }
}

const RedisNode* find_promoted(Cluster& cluster, const RedisNode& old_master, const env::Context& context) {
    for (const RedisNode& node : cluster.settings().nodes) {
        if (node.name == old_master.name) continue;
        const auto role = cluster.role(node, context);
        if (role && role->is_master()) return &node;
    }
    return nullptr;
}

Result<bool> is_caught_up(Cluster& cluster, const RedisNode& master, const std::string& candidate,
                          const env::Context& context) {
    AETERNA_ASSIGN(const Role leader, cluster.role(master, context));
    if (!leader.is_master())
        return make_error(ErrorCode::kGuardRefused, "'" + master.name + "' is no longer the master");
    std::size_t caught_up = 0;
    for (const RedisNode& node : cluster.settings().nodes) {
        if (node.name == master.name || (!candidate.empty() && node.name != candidate)) continue;
        const auto role = cluster.role(node, context);
        // A replica that is away cannot be chosen, so it need not be waited for.
        if (!role || !role->is_connected_replica()) continue;
        if (role->offset < leader.offset) return false;
        ++caught_up;
    }
    return caught_up > 0;
}

Status pause_writes(Cluster& cluster, const RedisNode& master, const env::Context& context) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kPause).count();
    AETERNA_TRY(cluster.order(master, {"CLIENT", "PAUSE", std::to_string(milliseconds), "WRITE"}, context));
    return {};
}

Status demote(Cluster& cluster, const RedisNode& old_master, const RedisNode& new_master,
              const env::Context& context) {
    AETERNA_TRY(cluster.order(
        old_master, {"REPLICAOF", new_master.address.host, std::to_string(new_master.address.port)}, context));
    AETERNA_TRY(cluster.order(old_master, {"CLIENT", "UNPAUSE"}, context));
    // A server without a configuration file refuses; then there is nothing to make permanent.
    static_cast<void>(cluster.order(old_master, {"CONFIG", "REWRITE"}, context));
    return {};
}

std::map<std::string, std::int64_t> preferring_priorities(const std::map<std::string, std::int64_t>& present,
                                                          const std::string& candidate) {
    std::map<std::string, std::int64_t> changes;
    const auto own = present.find(candidate);
    if (own == present.end()) return changes;
    bool is_preferred = own->second > 0;
    for (const auto& [name, priority] : present)
        if (name != candidate && priority > 0 && priority <= own->second) is_preferred = false;
    if (is_preferred) return changes;
    if (own->second != 1) changes[candidate] = 1;
    for (const auto& [name, priority] : present)
        if (name != candidate && priority == 1) changes[name] = 2;
    return changes;
}

Status set_priority(Cluster& cluster, const RedisNode& node, std::int64_t priority, const env::Context& context) {
    AETERNA_TRY(cluster.order(node, {"CONFIG", "SET", "replica-priority", std::to_string(priority)}, context));
    return {};
}

Status restore_priorities(Cluster& cluster, const Json& facts, const env::Context& context) {
    const Json* original = find_member(facts, kOriginalPriorities);
    if (!original || !original->is_object()) return {};
    Status result;
    for (const auto& [name, priority] : original->items()) {
        const RedisNode* node = cluster.settings().find_node(name);
        if (!node || !priority.is_number_integer()) continue;
        if (Status set = set_priority(cluster, *node, priority.get<std::int64_t>(), context); !set) {
            result = wrap_error(set.error(), "the replica-priority of '" + name + "' could not be restored");
            continue;
        }
        // Sentinel rewrote the file of what it reconfigured, with the temporary priority in it.
        static_cast<void>(cluster.order(*node, {"CONFIG", "REWRITE"}, context));
    }
    return result;
}

}  // namespace aeterna::redis
