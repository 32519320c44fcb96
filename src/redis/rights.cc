// Commands that stand for a right each, and the ACL words that grant them. A test holds the two together; only CLIENT
// SETNAME, which nothing depends on, is granted and not asked for.
#include "redis/rights.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

using engine::ConfigFinding;
using Level = ConfigFinding::Level;
using Commands = std::vector<Command>;

// What a user is there for, in the order in which one builds on the other.
struct Use {
    const char* able;  // "the user 'x' may …"
    Commands commands;
    const char* words;
};

const std::vector<Use>& node_uses() {
    static const std::vector<Use> uses = {
        {"watch, confirm and drill",
         {{"PING"},
          {"INFO"},
          {"ROLE"},
          {"CONFIG", "GET", "appendonly"},
          {"SCAN", "0"},
          {"SET", "aeterna-dr:confirm:x", "1"},
          {"UNLINK", "aeterna-dr:drill:x"}},
         "+ping +info +role +client|setname +acl|whoami +acl|dryrun +config|get +scan +set +unlink"},
        {"switch over and assist a failover",
         {{"CLIENT", "PAUSE", "1", "WRITE"},
          {"CLIENT", "UNPAUSE"},
          {"REPLICAOF", "NO", "ONE"},
          {"CONFIG", "SET", "replica-priority", "100"},
          {"CONFIG", "REWRITE"},
          {"PSYNC", "?", "-1"}},
         "+client|pause +client|unpause +replicaof +config|set +config|rewrite +psync"}};
    return uses;
}

std::vector<Use> sentinel_uses(const std::string& master) {
    return {{"watch",
             {{"PING"},
              {"INFO"},
              {"PSUBSCRIBE", "*"},
              {"SENTINEL", "MASTER", master},
              {"SENTINEL", "REPLICAS", master},
              {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master},
              {"SENTINEL", "CKQUORUM", master}},
             "+ping +info +psubscribe +client|setname +acl|whoami +acl|dryrun +sentinel|master +sentinel|replicas"
             " +sentinel|get-master-addr-by-name +sentinel|ckquorum"},
            {"promote", {{"SENTINEL", "FAILOVER", master}}, "+sentinel|failover"},
            {"be taught a master that was promoted by hand",
             {{"SENTINEL", "REMOVE", master},
              {"SENTINEL", "MONITOR", master, "10.0.0.1", "6379", "2"},
              {"SENTINEL", "SET", master, "quorum", "2"}},
             "+sentinel|remove +sentinel|monitor +sentinel|set"}};
}

std::string short_name(const Command& command) {
    const bool has_subcommand = command[0] == "CLIENT" || command[0] == "CONFIG" || command[0] == "SENTINEL";
    return has_subcommand ? command[0] + " " + command[1] : command[0];
}

// The commands that `user` may not give there.
Result<std::vector<std::string>> missing_rights(Cluster& cluster, const RedisNode& server, const std::string& user,
                                                const Commands& commands, const env::Context& context) {
    std::vector<std::string> missing;
    for (const Command& command : commands) {
        Command dry_run{"ACL", "DRYRUN", user};
        dry_run.insert(dry_run.end(), command.begin(), command.end());
        AETERNA_ASSIGN(const Reply reply, cluster.ask(server, dry_run, context));
        if (reply.text != "OK") missing.push_back(short_name(command));
    }
    return missing;
}

ConfigFinding cannot_ask(const RedisNode& server, const Error& error) {
    return {Level::kWarning, server.name + " rights", "cannot be asked for: " + error.to_string(),
            "Allow +acl|whoami and +acl|dryrun to have the rights checked."};
}

// The first use is what everything needs; the others only matter where something acts.
Level level_of(std::size_t use, bool acts) {
    if (use == 0) return Level::kError;
    return acts && use == 1 ? Level::kError : Level::kWarning;
}

}  // namespace

std::vector<ConfigFinding> check_rights(Cluster& cluster, const RedisNode& server, const env::Context& context) {
    const RedisSettings& settings = cluster.settings();
    const auto user = cluster.ask(server, {"ACL", "WHOAMI"}, context);
    if (!user) return {cannot_ask(server, user.error())};
    const bool is_sentinel = std::any_of(settings.sentinels.begin(), settings.sentinels.end(),
                                         [&](const RedisNode& other) { return other.name == server.name; });
    const std::vector<Use> uses = is_sentinel ? sentinel_uses(settings.master_name) : node_uses();
    std::vector<ConfigFinding> findings;
    for (std::size_t i = 0; i < uses.size(); ++i) {
        const auto missing = missing_rights(cluster, server, user->text, uses[i].commands, context);
        if (!missing) return {cannot_ask(server, missing.error())};
        if (missing->empty()) continue;
        findings.push_back({level_of(i, settings.assist == config::Assist::kAct), server.name + " rights",
                            fmt::format("the user '{}' cannot {}: it lacks {}", one_line(user->text, 60), uses[i].able,
                                        join(*missing, ", ")),
                            "Apply the ACL lines that `config check` prints, if it shall."});
    }
    if (findings.empty()) {
        findings.push_back({Level::kOk, server.name + " rights",
                            fmt::format("the user '{}' has all rights it needs", one_line(user->text, 60)), ""});
    }
    return findings;
}

std::string least_privilege_text(const RedisSettings& settings) {
    const std::string user = settings.user.empty() ? "aeterna-dr" : settings.user;
    const std::string sentinel_user = settings.sentinel_user.empty() ? "aeterna-dr" : settings.sentinel_user;
    const auto& nodes = node_uses();
    const auto sentinels = sentinel_uses(settings.master_name);
    const std::string watch =
        fmt::format("user {} on >PASSWORD resetchannels ~aeterna-dr:* {}", user, nodes[0].words);
    const bool acts = settings.assist == config::Assist::kAct;
    // In a file, each user may have one line only: Redis 7 refuses to start with a second one.
    return fmt::format(
        "# On every Redis server (users.acl or redis.conf), ONE of these two lines, never both for one user.\n"
        "# Either to watch, confirm and drill only{0}:\n{1}\n"
        "# Or to do that, to switch over (pause, demote, prefer a candidate) and to assist a failover (psync reads\n"
        "# what only an old master has):\n{1} {2}\n"
        "# On every Sentinel:\nuser {3} on >PASSWORD allchannels {4} {5}{6}\n{7}",
        acts ? " (too little for this stack's 'assist: act')" : "", watch, nodes[1].words, sentinel_user,
        sentinels[0].words, sentinels[1].words, acts ? std::string(" ") + sentinels[2].words : std::string(),
        acts ? std::string() : fmt::format("# With 'assist: act' also, for where no Sentinel can promote: {}\n",
                                           sentinels[2].words));
}

}  // namespace aeterna::redis
