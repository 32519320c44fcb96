// What Patroni says, as values: the answers of its REST interface and the documents it keeps in
// etcd, parsed from untrusted JSON. Both forms are understood: Debian's 3.0.2 (role "master")
// and 4.x (role "primary"). What a stopped PostgreSQL leaves out is an empty optional (facts of
// Patroni's rest_api.rst). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/time.h"

namespace aeterna::postgres {

struct PatroniReplication {
    std::string application_name;
    std::string state;       // streaming, catchup, backup …
    std::string sync_state;  // async, potential, sync, quorum
};

// GET /patroni.
struct PatroniNode {
    std::string state;  // Patroni's own word: running, streaming, starting, stopped, crashed …
    std::string role;   // primary | replica | standby_leader | uninitialized …
    std::optional<std::int64_t> server_version;  // 150020
    std::optional<std::int64_t> location;        // a primary's write position, bytes
    std::optional<std::int64_t> received, replayed;
    std::optional<std::int64_t> timeline;
    std::string system_identifier;
    std::string patroni_version;
    std::string scope;
    std::string replication_state;  // 4.x: streaming | in archive recovery
    std::vector<PatroniReplication> replication;
    bool cluster_unlocked = false;
    bool failsafe_active = false;
    bool paused = false;
    bool pending_restart = false;
    bool is_sync_standby = false;
    std::optional<std::int64_t> dcs_last_seen;  // Unix seconds

    [[nodiscard]] bool is_running() const { return state == "running" || state == "streaming"; }
    // Claims to be the one that takes writes, and that its PostgreSQL runs.
    [[nodiscard]] bool claims_primary() const { return role == "primary" && is_running(); }
};

// One member: of GET /cluster, or of the key members/<name> in etcd.
struct PatroniMember {
    std::string name;
    std::string role;  // leader primary replica sync_standby quorum_standby standby_leader
    std::string state;
    std::string api_url;
    std::string version;
    std::optional<std::int64_t> timeline;
    std::optional<std::int64_t> lag_bytes;  // nothing when "unknown"
    std::optional<std::int64_t> location;  // of the member key: received, replayed or written bytes
    bool nofailover = false;
    bool nosync = false;

    [[nodiscard]] bool is_running() const { return state == "running" || state == "streaming"; }
};

// GET /cluster.
struct PatroniCluster {
    std::vector<PatroniMember> members;
    std::string leader;  // empty: nobody
    bool paused = false;
    std::string scheduled_switchover;  // empty: none
};

// GET /config, or the key config; absent keys have Patroni's defaults.
struct PatroniConfig {
    std::int64_t ttl = 30;
    std::int64_t loop_wait = 10;
    std::int64_t retry_timeout = 10;
    std::int64_t maximum_lag_on_failover = 1048576;
    std::int64_t primary_start_timeout = 300;
    bool synchronous_mode = false;
    bool synchronous_mode_strict = false;
    bool failsafe_mode = false;
    bool paused = false;
    bool use_pg_rewind = false;
    bool is_standby_cluster = false;  // it follows another cluster: nobody in it takes writes
    Json parameters = Json::object();  // postgresql.parameters
    Json document = Json::object();    // all of it
};

struct PatroniHistoryEntry {
    std::int64_t timeline = 0;  // the one that ended
    std::int64_t lsn = 0;
    std::string reason;
    std::string at;          // may be empty
    std::string new_leader;  // may be empty
};

// The key sync.
struct SyncState {
    std::string leader;                 // empty: none
    std::vector<std::string> standbys;  // who may take over without loss
};

// The key failover: a manual failover or switchover that somebody asked for.
struct FailoverRequest {
    std::string leader;
    std::string candidate;
    std::string scheduled_at;
};

// "master" (before 4.0) is "primary", "leader" of /cluster too; other words stay.
[[nodiscard]] std::string normalise_role(const std::string& role);

// kProtocol when the document cannot be what it should be.
[[nodiscard]] Result<PatroniNode> parse_patroni_node(std::string_view text);
[[nodiscard]] Result<PatroniCluster> parse_patroni_cluster(std::string_view text);
[[nodiscard]] Result<PatroniConfig> parse_patroni_config(std::string_view text);
[[nodiscard]] Result<std::vector<PatroniHistoryEntry>> parse_patroni_history(std::string_view text);
[[nodiscard]] Result<PatroniMember> parse_member_key(const std::string& name,
                                                     std::string_view text);
[[nodiscard]] Result<SyncState> parse_sync_key(std::string_view text);
// Nothing when the key holds an empty object: it was cleared.
[[nodiscard]] Result<std::optional<FailoverRequest>> parse_failover_key(std::string_view text);

// "3.0.2" before "3.2.0"? Unknown versions are not older than anything.
[[nodiscard]] bool is_version_before(const std::string& version, int major, int minor);

}  // namespace aeterna::postgres
