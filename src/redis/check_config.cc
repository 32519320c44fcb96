// One finding per thing looked at; a server that does not answer yields one error and no guesses.
#include "redis/check_config.h"

#include <fmt/core.h>

#include "base/strings.h"
#include "redis/rights.h"

namespace aeterna::redis {
namespace {

using engine::ConfigFinding;
using Level = ConfigFinding::Level;
using Findings = std::vector<ConfigFinding>;

std::string config_value(Cluster& cluster, const RedisNode& node, const std::string& key, const env::Context& context) {
    const auto reply = cluster.ask(node, {"CONFIG", "GET", key}, context);
    return reply && reply->elements.size() == 2 ? reply->elements[1].text : "";
}

void add_rights(Cluster& cluster, const RedisNode& server, const env::Context& context, Findings& findings) {
    for (ConfigFinding& finding : check_rights(cluster, server, context)) findings.push_back(std::move(finding));
}

// A master without AOF may restart with less than its replicas have; they copy that after so long.
void check_sync_delay(Cluster& cluster, const RedisNode& node, const env::Context& context, Findings& findings) {
    constexpr std::int64_t kEnoughSeconds = 5;  // the default
    const std::string diskless = config_value(cluster, node, "repl-diskless-sync", context);
    const std::string delay = config_value(cluster, node, "repl-diskless-sync-delay", context);
    if (diskless.empty() || (diskless == "yes" && to_integer(delay).value_or(kEnoughSeconds) >= kEnoughSeconds)) return;
    const std::string what = diskless == "no" ? "repl-diskless-sync is no" : "repl-diskless-sync-delay is " + delay + " s";
    findings.push_back({Level::kWarning, node.name + " full copies",
                        what + ": when it restarts with an older copy, its replicas take that before anybody can stop it",
                        "Use repl-diskless-sync yes with the default delay of 5 s, or AOF."});
}

void check_guards(Cluster& cluster, const RedisNode& node, const env::Context& context, Findings& findings) {
    const std::string guard = config_value(cluster, node, "min-replicas-to-write", context);
    if (guard == "0")
        findings.push_back({Level::kWarning, node.name + " min-replicas-to-write",
                            "is 0: a paused or cut-off master goes on acknowledging writes that are lost later",
                            "min-replicas-to-write 1 with min-replicas-max-lag 1 shrinks that loss to almost nothing."});
    else if (!guard.empty())
        findings.push_back({Level::kOk, node.name + " min-replicas-to-write", "is " + guard, ""});
    const std::string policy = config_value(cluster, node, "maxmemory-policy", context);
    const std::string limit = config_value(cluster, node, "maxmemory", context);
    if (!policy.empty() && policy != "noeviction" && limit != "0")
        findings.push_back({Level::kWarning, node.name + " maxmemory-policy",
                            "is '" + policy + "': evicted keys look like lost writes in a drill",
                            "Give maxmemory enough room for a drill's keys, or use noeviction."});
    const std::string aof = config_value(cluster, node, "appendonly", context);
    if (aof == "no" && config_value(cluster, node, "save", context).empty())
        findings.push_back({Level::kError, node.name + " persistence",
                            "there is neither AOF nor RDB: a master that restarts empty empties its replicas too",
                            "Set appendonly yes, or at least a save rule."});
    else if (aof == "no")
        findings.push_back({Level::kWarning, node.name + " persistence", "AOF is off: a restart loses up to the last RDB",
                            "Switch it on with CONFIG SET appendonly yes on the live server, never by editing the file."});
    if (aof == "no") check_sync_delay(cluster, node, context, findings);
    const std::string backlog = config_value(cluster, node, "repl-backlog-size", context);
    if (to_integer(backlog).value_or(1 << 30) < (16 << 20))
        findings.push_back({Level::kWarning, node.name + " repl-backlog-size", "is " + backlog + " bytes",
                            "64 MiB lets a replica come back after a short break without a full copy."});
}

void check_node(Cluster& cluster, const RedisNode& node, const env::Context& context, Findings& findings) {
    const auto info = cluster.info(node, context);
    if (!info) {
        findings.push_back({Level::kError, node.name, info.error().to_string(), info.error().hint});
        return;
    }
    findings.push_back({Level::kOk, node.name,
                        fmt::format("Redis {}, {}", one_line(info->version, 20), info->is_master ? "master" : "replica"), ""});
    add_rights(cluster, node, context, findings);
    check_guards(cluster, node, context, findings);
    if (!info->is_master && info->replica_priority == 0)
        findings.push_back({Level::kWarning, node.name + " replica-priority", "is 0: Sentinel never promotes it", ""});
    // Sentinel and replicas need the same password everywhere once roles move.
    if (!cluster.settings().password.empty() && config_value(cluster, node, "masterauth", context).empty())
        findings.push_back({Level::kError, node.name + " masterauth",
                            "is empty: as a replica it could not follow a master with a password",
                            "Set masterauth (and masteruser) on every node, also on the present master."});
}

void check_sentinel(const SentinelAnswer& answer, const RedisSettings& settings, Findings& findings) {
    if (!answer.opinion) {
        findings.push_back({Level::kError, answer.sentinel, answer.error->to_string(), answer.error->hint});
        return;
    }
    const SentinelOpinion& opinion = *answer.opinion;
    findings.push_back({opinion.has_quorum ? Level::kOk : Level::kError, answer.sentinel + " quorum", opinion.quorum_text,
                        opinion.has_quorum ? "" : "Start the missing Sentinels."});
    const auto known = static_cast<std::size_t>(opinion.master.other_sentinels + 1);
    if (known != settings.sentinels.size())
        findings.push_back({Level::kWarning, answer.sentinel,
                            fmt::format("knows {} Sentinels, the stack file {}", known, settings.sentinels.size()),
                            "Sentinels never forget; SENTINEL RESET (while the master is healthy) drops dead ones."});
    if (static_cast<std::size_t>(opinion.master.quorum) < settings.majority())
        findings.push_back({Level::kWarning, answer.sentinel, fmt::format("its quorum is {}", opinion.master.quorum),
                            "A quorum below the majority calls the master down on a minority's word."});
    if (opinion.master.failover_timeout_ms > 60000)
        findings.push_back({Level::kWarning, answer.sentinel,
                            fmt::format("failover-timeout is {} s: after a failed attempt the next one waits twice as long",
                                        opinion.master.failover_timeout_ms / 1000),
                            "10 to 30 s is sane."});
    std::set<env::Endpoint> addresses{opinion.current_address};
    for (const ReplicaView& replica : opinion.replicas) addresses.insert(replica.address);
    for (const env::Endpoint& address : addresses)
        if (!settings.node_at(address))
            findings.push_back({Level::kError, answer.sentinel,
                                "knows '" + address.to_string() + "', which is no node of the stack file",
                                "Use in redis.nodes the addresses that the servers announce (replica-announce-ip)."});
    for (const RedisNode& node : settings.nodes)
        if (!addresses.count(node.address))
            findings.push_back({Level::kError, answer.sentinel, "does not know '" + node.name + "'",
                                "Check that it replicates and that its announced address is the stack file's."});
}

}  // namespace

std::vector<ConfigFinding> check_config(Cluster& cluster, const env::Context& context) {
    Findings findings;
    for (const RedisNode& node : cluster.settings().nodes) check_node(cluster, node, context, findings);
    const auto answers = cluster.opinions(context);  // in the order of the settings
    for (std::size_t i = 0; i < answers.size(); ++i) {
        check_sentinel(answers[i], cluster.settings(), findings);
        const bool answered = answers[i].opinion || answers[i].error->code == ErrorCode::kPermission;
        if (answered) add_rights(cluster, cluster.settings().sentinels[i], context, findings);
    }
    return findings;
}

}  // namespace aeterna::redis
