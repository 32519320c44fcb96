// What a Sentinel was set to, and setting it again.
#include "redis/steps/sentinel_teaching.h"

#include "base/strings.h"

namespace aeterna::redis {
namespace {

constexpr Duration kForAll = 5s;

Json settings_of(const MasterView& view) {
    Json settings{{"quorum", view.quorum},
                  {"down-after-milliseconds", view.down_after_ms},
                  {"failover-timeout", view.failover_timeout_ms},
                  {"parallel-syncs", view.parallel_syncs}};
    if (!view.notification_script.empty())
        settings["notification-script"] = view.notification_script;
    if (!view.client_reconfig_script.empty())
        settings["client-reconfig-script"] = view.client_reconfig_script;
    return settings;
}

// One that lost its memory halfway is set as the others are.
const Json* remembered_of(const Json& facts, const std::string& sentinel) {
    const Json* all = find_member(facts, kSentinelSettings);
    if (!all || !all->is_object() || all->empty()) return nullptr;
    const Json* own = find_member(*all, sentinel);
    return own ? own : &*all->begin();
}

}  // namespace

std::vector<Command> teaching_commands(const RedisSettings& settings, const RedisNode& master,
                                       const Json& remembered) {
    const std::string& name = settings.master_name;
    const auto fallback = static_cast<std::int64_t>(settings.majority());
    std::vector<Command> commands{
        {"SENTINEL", "MONITOR", name, master.address.host, std::to_string(master.address.port),
         std::to_string(find_integer(remembered, "quorum").value_or(fallback))}};
    // The password first: without it the Sentinel cannot even ask.
    if (!settings.user.empty())
        commands.push_back({"SENTINEL", "SET", name, "auth-user", settings.user});
    if (!settings.password.empty())
        commands.push_back({"SENTINEL", "SET", name, "auth-pass", settings.password.reveal()});
    for (const char* key : {"down-after-milliseconds", "failover-timeout", "parallel-syncs"})
        if (const auto value = find_integer(remembered, key))
            commands.push_back({"SENTINEL", "SET", name, key, std::to_string(*value)});
    for (const char* key : {"notification-script", "client-reconfig-script"})
        if (const auto value = find_string(remembered, key))
            commands.push_back({"SENTINEL", "SET", name, key, *value});
    return commands;
}

void remember_sentinels(Cluster& cluster, Json& facts, const env::Context& context) {
    Json remembered = Json::object();
    if (const Json* known = find_member(facts, kSentinelSettings)) remembered = *known;
    for (const SentinelAnswer& answer : cluster.opinions(context))
        if (answer.opinion && !remembered.contains(answer.sentinel))
            remembered[answer.sentinel] = settings_of(answer.opinion->master);
    if (!remembered.empty()) facts[kSentinelSettings] = remembered;
}

namespace {

// True when one of those that answer watches another master, or none; why the others cannot be told
// goes into `left`.
bool is_any_untold(Cluster& cluster, const RedisNode& master, std::vector<std::string>& left,
                   const env::Context& context) {
    bool is_any = false;
    for (const RedisNode& sentinel : cluster.settings().sentinels) {
        const auto opinion = cluster.opinion(sentinel, context);
        if (opinion && opinion->current_address == master.address) continue;
        if (opinion || opinion.error().code == ErrorCode::kNotFound) is_any = true;
        else left.push_back(sentinel.name + ": " + one_line(opinion.error().to_string()));
    }
    return is_any;
}

// Our master has died since, and they have promoted another one: what they know is newer than what we would tell.
bool is_replaced(Cluster& cluster, const env::Endpoint& named, const RedisNode& master, const env::Context& context) {
    const RedisNode* other = cluster.settings().node_at(named);
    if (!other || other->name == master.name) return false;
    const auto ours = cluster.role(master, context);
    if (ours && ours->is_master()) return false;
    const auto theirs = cluster.role(*other, context);
    return theirs && theirs->is_master();
}

// One that knows no such master has nothing to forget.
Status forget(Cluster& cluster, const RedisNode& sentinel, const env::Context& context) {
    const auto reply =
        cluster.order(sentinel, {"SENTINEL", "REMOVE", cluster.settings().master_name}, context);
    if (reply || reply.error().code == ErrorCode::kNotFound) return {};
    return reply.error();
}

Status teach(Cluster& cluster, const RedisNode& sentinel, const RedisNode& master,
             const Json& facts, const env::Context& context) {
    Json remembered = Json::object();
    if (const Json* known = remembered_of(facts, sentinel.name)) remembered = *known;
    Status result;
    for (const Command& command : teaching_commands(cluster.settings(), master, remembered)) {
        const auto reply = cluster.order(sentinel, command, context);
        if (reply) continue;
        // A script that it may not set (deny-scripts-reconfig) is told, the rest still has to be
        // set.
        if (result) result = reply.error();
        if (command[1] == "MONITOR") return result;
    }
    return result;
}

}  // namespace

std::vector<std::string> teach_all(Cluster& cluster, const RedisNode& master, Json& facts,
                                   const env::Context& context) {
    std::vector<std::string> left;
    const env::Context brief = cluster.env().clock.within(kForAll, context);
    if (!is_any_untold(cluster, master, left, brief)) return left;
    remember_sentinels(cluster, facts, brief);
    std::vector<const RedisNode*> empty;
    for (const RedisNode& sentinel : cluster.settings().sentinels)
        if (forget(cluster, sentinel, brief)) empty.push_back(&sentinel);
    for (const RedisNode* sentinel : empty) {
        const Status taught = teach(cluster, *sentinel, master, facts, brief);
        if (!taught) left.push_back(sentinel->name + ": " + one_line(taught.error().to_string()));
    }
    return left;
}

Result<TeachingRound> teach_once(Cluster& cluster, const RedisNode& master, Json& facts, const env::Context& context) {
    const auto role = cluster.role(master, context);
    if (role && !role->is_master())
        return make_error(ErrorCode::kUnavailable, "'" + master.name + "' is master no longer");
    const auto named = cluster.majority_master(context);
    TeachingRound round;
    round.is_outdated = named && is_replaced(cluster, *named, master, context);
    if (round.is_outdated) return round;
    round.left = teach_all(cluster, master, facts, context);
    round.is_told = round.left.empty() && named && *named == master.address;
    return round;
}

}  // namespace aeterna::redis
