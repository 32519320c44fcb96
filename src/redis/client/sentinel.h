// What a Sentinel says: its view of the master and the replicas, its quorum check, its events. Pure parsing of
// untrusted replies (redis 7.0 src/sentinel.c: addReplySentinelRedisInstance, sentinelEvent). Flat field/value
// arrays (RESP2) and maps (RESP3) are both read.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "env/net.h"
#include "redis/client/resp.h"

namespace aeterna::redis {

// Times in these views are milliseconds before the reply, as Sentinel gives them.
struct MasterView {
    std::string name;
    env::Endpoint address;
    std::set<std::string> flags;  // master s_down o_down disconnected failover_in_progress …
    std::int64_t last_ok_ping_ms = 0;
    std::int64_t down_after_ms = 30000;
    std::int64_t failover_timeout_ms = 180000;
    std::int64_t s_down_ms = 0;  // 0 = not s_down
    std::int64_t o_down_ms = 0;
    std::int64_t config_epoch = 0;
    std::int64_t quorum = 0;
    std::int64_t other_sentinels = 0;
    std::int64_t replica_count = 0;
    std::int64_t parallel_syncs = 1;
    std::string notification_script;     // empty when there is none
    std::string client_reconfig_script;
    std::string failover_state;  // empty when none runs
    std::string role_reported;
    [[nodiscard]] bool has_flag(const std::string& flag) const { return flags.count(flag) > 0; }
    [[nodiscard]] bool is_down() const { return has_flag("s_down") || has_flag("o_down"); }
};

struct ReplicaView {
    env::Endpoint address;
    std::set<std::string> flags;
    std::int64_t priority = 100;
    std::int64_t offset = 0;
    std::int64_t last_ok_ping_ms = 0;
    std::int64_t info_refresh_ms = 0;
    std::int64_t master_link_down_ms = 0;
    bool is_link_ok = false;
    [[nodiscard]] bool has_flag(const std::string& flag) const { return flags.count(flag) > 0; }
};

// Everything that one Sentinel says at one moment.
struct SentinelOpinion {
    MasterView master;
    env::Endpoint current_address;  // GET-MASTER-ADDR-BY-NAME: the promoted one during a failover's last part
    std::vector<ReplicaView> replicas;
    bool has_quorum = false;
    std::string quorum_text;  // CKQUORUM's own words
    bool is_tilt = false;
    std::optional<std::int64_t> uptime_seconds;
    // The master has answered it in this life. One that was started after the master's death counts last-ok-ping-reply
    // from its own start (7.0.15), and so says nothing of the master.
    [[nodiscard]] bool has_heard_master() const;
};

// The commands that opinion_from_replies expects the answers of, in order.
[[nodiscard]] std::vector<Command> opinion_commands(const std::string& master_name);
// kNotFound when the Sentinel does not know the master, kPermission …: the first command's error.
[[nodiscard]] Result<SentinelOpinion> opinion_from_replies(const std::vector<Reply>& replies,
                                                           const std::string& sentinel);

[[nodiscard]] Result<MasterView> parse_master_view(const Reply& reply);
[[nodiscard]] Result<std::vector<ReplicaView>> parse_replica_views(const Reply& reply);
// Nothing when the master is unknown (null array).
[[nodiscard]] Result<std::optional<env::Endpoint>> parse_master_address(const Reply& reply);

// One published event: channel "+odown", payload "master NAME IP PORT #quorum 2/2".
struct SentinelEvent {
    std::string name;         // "+odown"
    std::string text;         // the payload
    std::string kind;         // master | slave | sentinel; empty for other forms
    env::Endpoint address;    // of the instance; of the new master for +switch-master
    env::Endpoint previous;   // the old master of +switch-master
    std::string master_name;  // empty when the event names none
};
[[nodiscard]] SentinelEvent parse_event(std::string_view channel, std::string_view payload);
// A pub/sub message of a pattern subscription; nothing for confirmations and other replies.
[[nodiscard]] std::optional<SentinelEvent> event_from_message(const Reply& reply);

// The address that more than half of `voters` name; nothing without such a majority.
[[nodiscard]] std::optional<env::Endpoint> majority_address(const std::vector<env::Endpoint>& opinions,
                                                            std::size_t voters);

}  // namespace aeterna::redis
