// What a Sentinel was set to, and setting it again.
#include "redis/steps/sentinel_teaching.h"

#include <algorithm>

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

struct Hearing {
    bool is_any_untold = false;             // one of those that answer watches another master, or none
    std::vector<const RedisNode*> told;     // that name `master`
    std::vector<std::string> left;          // why the others cannot be told
};

Hearing hear_all(Cluster& cluster, const RedisNode& master, const env::Context& context) {
    Hearing heard;
    for (const RedisNode& sentinel : cluster.settings().sentinels) {
        const auto opinion = cluster.opinion(sentinel, context);
        if (opinion && opinion->current_address == master.address) heard.told.push_back(&sentinel);
        else if (opinion || opinion.error().code == ErrorCode::kNotFound) heard.is_any_untold = true;
        else heard.left.push_back(sentinel.name + ": " + one_line(opinion.error().to_string()));
    }
    return heard;
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

// One Sentinel has it from a failover that came after ours, whose result the others may not have heard of yet.
bool has_newer_failover(const std::vector<SentinelAnswer>& answers, const RedisNode& master, const Json& facts) {
    const auto epoch = find_integer(facts, kOldEpoch);
    return epoch && std::any_of(answers.begin(), answers.end(), [&](const SentinelAnswer& answer) {
        return answer.opinion && answer.opinion->current_address != master.address &&
               answer.opinion->master.config_epoch > *epoch;
    });
}

// One that knows no such master has nothing to forget.
Status forget(Cluster& cluster, const RedisNode& sentinel, const env::Context& context) {
    const auto reply =
        cluster.order(sentinel, {"SENTINEL", "REMOVE", cluster.settings().master_name}, context);
    if (reply || reply.error().code == ErrorCode::kNotFound) return {};
    return reply.error();
}

bool is_set(const Json& facts, const RedisNode& sentinel) {
    const Json* set = find_member(facts, kSentinelsSet);
    return set && find_member(*set, sentinel.name);
}

// A script that it may not set (deny-scripts-reconfig) is told once; the rest still has to be set. One that died on the
// way has the name and the defaults, no password among them: it is set again when it is back.
Status teach(Cluster& cluster, const RedisNode& sentinel, const RedisNode& master, Json& facts, bool is_named,
             const env::Context& context) {
    Json remembered = Json::object();
    if (const Json* known = remembered_of(facts, sentinel.name)) remembered = *known;
    Status result;
    bool has_heard_all = true;
    for (const Command& command : teaching_commands(cluster.settings(), master, remembered)) {
        const bool is_name = command[1] == "MONITOR";
        if (is_name && is_named) continue;
        const auto reply = cluster.order(sentinel, command, context);
        if (reply) continue;
        if (reply.error().code != ErrorCode::kServer) has_heard_all = false;
        if (result) result = reply.error();
        if (is_name) return result;
    }
    if (has_heard_all) facts[kSentinelsSet][sentinel.name] = true;
    return result;
}

}  // namespace

std::vector<std::string> teach_all(Cluster& cluster, const RedisNode& master, Json& facts,
                                   const env::Context& context) {
    const env::Context brief = cluster.env().clock.within(kForAll, context);
    Hearing heard = hear_all(cluster, master, brief);
    std::vector<const RedisNode*> due;
    if (heard.is_any_untold) {
        remember_sentinels(cluster, facts, brief);
        facts.erase(kSentinelsSet);
        for (const RedisNode& sentinel : cluster.settings().sentinels)
            if (forget(cluster, sentinel, brief)) due.push_back(&sentinel);
    } else {
        for (const RedisNode* sentinel : heard.told)
            if (!is_set(facts, *sentinel)) due.push_back(sentinel);
    }
    for (const RedisNode* sentinel : due) {
        const Status taught = teach(cluster, *sentinel, master, facts, !heard.is_any_untold, brief);
        if (!taught) heard.left.push_back(sentinel->name + ": " + one_line(taught.error().to_string()));
    }
    return heard.left;
}

void note_due(Json& facts, const std::vector<const RedisNode*>& untold) {
    for (const RedisNode* sentinel : untold) {
        facts[kSentinelsDue][sentinel->name] = true;
        if (is_set(facts, *sentinel)) facts[kSentinelsSet].erase(sentinel->name);  // it has lost what it was told
    }
}

std::vector<std::string> teach_some(Cluster& cluster, const std::vector<const RedisNode*>& untold, const RedisNode& master, Json& facts,
                                    const env::Context& context) {
    const env::Context brief = cluster.env().clock.within(kForAll, context);
    std::vector<std::string> left;
    if (!untold.empty()) remember_sentinels(cluster, facts, brief);
    note_due(facts, untold);
    const Json* due = find_member(facts, kSentinelsDue);
    for (const RedisNode& sentinel : cluster.settings().sentinels) {
        if (!due || !find_member(*due, sentinel.name) || is_set(facts, sentinel)) continue;
        const bool is_named = std::find(untold.begin(), untold.end(), &sentinel) == untold.end();
        Status taught = is_named ? Status() : forget(cluster, sentinel, brief);
        if (taught) taught = teach(cluster, sentinel, master, facts, is_named, brief);
        if (!taught) left.push_back(sentinel.name + ": " + one_line(taught.error().to_string()));
    }
    return left;
}

std::vector<std::string> turn_replicas(Cluster& cluster, const RedisNode& master, const std::string& old_master,
                                       Turn which, const env::Context& context) {
    std::vector<std::string> left;
    for (const NodeAnswer& answer : cluster.roles(context)) {
        const RedisNode& node = *answer.node;
        if (node.name == master.name || node.name == old_master) continue;
        if (!answer.role) {
            left.push_back(node.name + ": " + (answer.error ? one_line(answer.error->to_string()) : "it does not answer"));
            continue;
        }
        // Whoever made it one knows more than we do.
        if (answer.role->is_master()) {
            left.push_back(node.name + ": it says that it is master");
            continue;
        }
        if (answer.role->follows == master.address && which == Turn::kAstray) continue;
        const auto turned =
            cluster.order(node, {"REPLICAOF", master.address.host, std::to_string(master.address.port)}, context);
        // A server without a configuration file refuses; then there is nothing to make permanent.
        if (turned) static_cast<void>(cluster.order(node, {"CONFIG", "REWRITE"}, context));
        else left.push_back(node.name + ": " + one_line(turned.error().to_string()));
    }
    return left;
}

Result<TeachingRound> teach_once(Cluster& cluster, const RedisNode& master, Json& facts, const env::Context& context) {
    const auto role = cluster.role(master, context);
    if (role && !role->is_master())
        return make_error(ErrorCode::kUnavailable, "'" + master.name + "' is master no longer");
    const auto answers = cluster.opinions(context);
    const auto named = majority_of(answers);
    TeachingRound round;
    round.is_outdated = has_newer_failover(answers, master, facts) || (named && is_replaced(cluster, *named, master, context));
    if (round.is_outdated) return round;
    round.left = teach_all(cluster, master, facts, context);
    const std::string old_master = find_string(facts, kOldMaster).value_or("");
    for (std::string& line : turn_replicas(cluster, master, old_master, Turn::kAstray, context))
        round.left.push_back(std::move(line));
    round.is_told = round.left.empty() && named && *named == master.address;
    return round;
}

}  // namespace aeterna::redis
