// Shared parts of the steps.
#include "redis/steps/support.h"

#include <algorithm>

namespace aeterna::redis {
namespace {

// Clients wait while the Sentinels are asked, so a silent one is not waited for.
constexpr Duration kBriefCall = std::chrono::milliseconds(100);

std::vector<SentinelOpinion> brief_opinions(Cluster& cluster, const env::Context& context) {
    std::vector<SentinelOpinion> opinions;
    for (const RedisNode& sentinel : cluster.settings().sentinels) {
        const env::Context brief = cluster.env().clock.within(kBriefCall, context);
        if (auto opinion = cluster.opinion(sentinel, brief)) opinions.push_back(std::move(*opinion));
    }
    return opinions;
}

bool has_majority(const std::vector<SentinelOpinion>& opinions, const RedisNode& node, const RedisSettings& settings) {
    const auto names = std::count_if(opinions.begin(), opinions.end(), [&](const SentinelOpinion& opinion) {
        return opinion.current_address == node.address;
    });
    return static_cast<std::size_t>(names) >= settings.majority();
}

bool is_named(Cluster& cluster, const RedisNode& node, const Json& facts, const env::Context& context) {
    const std::string acting = find_string(facts, kActingSentinel).value_or("");
    std::size_t votes = 0;
    for (const SentinelAnswer& answer : cluster.opinions(context)) {
        if (!answer.opinion || answer.opinion->current_address != node.address) continue;
        if (answer.sentinel == acting) return true;
        ++votes;
    }
    return votes >= cluster.settings().majority();
}

// That the Sentinels have made the old master the master once more: most of those that answer name it in an epoch
// that began after the switchover.
bool is_back(const std::vector<SentinelOpinion>& opinions, const RedisNode& old_master, const Json& facts) {
    const Json* epoch = find_member(facts, kOldEpoch);
    if (!epoch || !epoch->is_number_integer()) return false;
    const auto newer = std::count_if(opinions.begin(), opinions.end(), [&](const SentinelOpinion& opinion) {
        return opinion.current_address == old_master.address &&
               opinion.master.config_epoch > epoch->get<std::int64_t>();
    });
    return static_cast<std::size_t>(newer) * 2 > opinions.size();
}

Error guard_refused(std::string message) {
    return make_error(ErrorCode::kGuardRefused, std::move(message), "Look whom the Sentinels name, then start anew.");
}

// A resumed run may come long after the promotion, so what was true then is asked again.
Status guard_demotion(Cluster& cluster, const RedisNode& old_master, const RedisNode& new_master, const Json& facts,
                      const env::Context& context) {
    AETERNA_ASSIGN(const Role role, cluster.role(new_master, context));
    if (!role.is_master()) return guard_refused("'" + new_master.name + "' is no longer master");
    AETERNA_ASSIGN(const NodeInfo old, cluster.info(old_master, context));
    const auto opinions = brief_opinions(cluster, context);
    if (is_back(opinions, old_master, facts))
        return guard_refused("the Sentinels have made '" + old_master.name + "' master again");
    // A master that still writes its history of before the switch has never been anything else since.
    const bool is_untouched = old.is_master && !old.replid.empty() && old.replid == find_string(facts, kOldReplid);
    const bool follows_already = !old.is_master && old.follows == new_master.address;
    if (is_untouched || follows_already || has_majority(opinions, new_master, cluster.settings())) return {};
    return guard_refused("'" + old_master.name + "' is not as the switch left it, and no majority of the Sentinels names '" +
                         new_master.name + "'");
}

}  // namespace

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

Duration down_after_left(const std::vector<SentinelAnswer>& answers) {
    std::int64_t left = 0;
    for (const SentinelAnswer& answer : answers)
        if (answer.opinion && !answer.opinion->master.is_down())
            left = std::max(left, answer.opinion->master.down_after_ms - answer.opinion->master.last_ok_ping_ms);
    return std::chrono::milliseconds(left);
}

Result<const RedisNode*> supposed_old_master(Cluster& cluster, const std::string& named, const env::Context& context) {
    const RedisSettings& settings = cluster.settings();
    if (const RedisNode* node = settings.find_node(named)) return node;
    const auto answers = cluster.opinions(context);
    std::optional<env::Endpoint> address = majority_of(answers);
    // One Sentinel's word will do: it only says whose death is to be waited for.
    for (const SentinelAnswer& answer : answers)
        if (!address && answer.opinion) address = answer.opinion->current_address;
    if (!address)
        return make_error(ErrorCode::kUnavailable, "no Sentinel answers, so the master is unknown",
                          "Start at least one Sentinel: only they know which master is lost.");
    if (const RedisNode* node = settings.node_at(*address)) return node;
    return make_error(ErrorCode::kConfiguration,
                      "the Sentinels name '" + address->to_string() + "', which is no node of the stack file",
                      "Use in redis.nodes the addresses that the servers announce.");
}

bool is_heir(const NodeInfo& master, const Json& facts) {
    const auto old_replid = find_string(facts, kOldReplid);
    return master.is_master && old_replid && !old_replid->empty() && master.replid2 == *old_replid;
}

bool is_promoted(Cluster& cluster, const RedisNode& node, const Json& facts, const env::Context& context) {
    const Json* replicas = find_member(facts, kReplicas);
    if (!replicas || std::find(replicas->begin(), replicas->end(), Json(node.name)) == replicas->end()) return false;
    const auto role = cluster.role(node, context);
    if (!role || !role->is_master()) return false;
    const auto info = cluster.info(node, context);
    return (info && is_heir(*info, facts)) || is_named(cluster, node, facts, context);
}

const RedisNode* find_promoted(Cluster& cluster, const Json& facts, const env::Context& context) {
    for (const RedisNode& node : cluster.settings().nodes)
        if (is_promoted(cluster, node, facts, context)) return &node;
    return nullptr;
}

bool is_replica_of(const Role& role, const RedisNode& master, const RedisSettings& settings) {
    const RedisNode* followed = settings.node_at(role.follows);
    return role.is_connected_replica() && (!followed || followed->name == master.name);
}

Result<bool> is_caught_up(Cluster& cluster, const RedisNode& master, const std::string& candidate,
                          const env::Context& context) {
    AETERNA_ASSIGN(const Role leader, cluster.role(master, context));
    if (!leader.is_master())
        return make_error(ErrorCode::kGuardRefused, "'" + master.name + "' is no longer the master");
    std::size_t caught_up = 0;
    for (const RedisNode& node : cluster.settings().nodes) {
        if (node.name == master.name) continue;
        const bool is_wanted = candidate.empty() || node.name == candidate;
        const auto role = cluster.role(node, context);
        // A replica that is away cannot be chosen, so it need not be waited for.
        if (!role) continue;
        if (is_replica_of(*role, master, cluster.settings()) && role->offset >= leader.offset) {
            if (is_wanted) ++caught_up;
            continue;
        }
        const auto info = cluster.info(node, context);
        const bool is_promotable = !info || info->is_master || info->replica_priority != 0;
        if (is_promotable || node.name == candidate) return false;
    }
    return caught_up > 0;
}

Status pause_writes(Cluster& cluster, const RedisNode& master, const env::Context& context) {
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(kPause).count();
    AETERNA_TRY(cluster.order(master, {"CLIENT", "PAUSE", std::to_string(milliseconds), "WRITE"}, context));
    return {};
}

Status demote(Cluster& cluster, const RedisNode& old_master, const RedisNode& new_master, const Json& facts,
              const env::Context& context) {
    AETERNA_TRY(guard_demotion(cluster, old_master, new_master, facts, context));
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
