// What a Redis server says about itself: INFO and ROLE, parsed from untrusted text. Pure.
// Field names: redis 7.0 src/server.c genRedisInfoString; ROLE: src/replication.c roleCommand.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/net.h"
#include "redis/client/resp.h"

namespace aeterna::redis {

using InfoFields = std::map<std::string, std::string, std::less<>>;

// "name:value" lines; section headers and malformed lines are skipped.
[[nodiscard]] InfoFields parse_info_fields(std::string_view text);

// One `slaveN:ip=…,port=…,state=…,offset=…,lag=…` line of a master.
struct ReplicaLine {
    env::Endpoint address;
    std::string state;  // wait_bgsave | send_bulk | online
    std::int64_t offset = 0;
    std::int64_t lag_seconds = 0;  // since its last acknowledgement
};

struct NodeInfo {
    std::string version;
    std::string run_id;  // changes with each start
    std::int64_t uptime_seconds = 0;
    bool is_master = false;
    bool is_loading = false;
    std::string replid;   // the history that this node writes (master_replid)
    std::string replid2;  // the history that it wrote or followed before it became master (master_replid2)
    std::int64_t master_offset = 0;   // master_repl_offset: what this node has in its stream
    std::int64_t second_offset = -1;  // second_repl_offset: the first offset that replid2 does not share any more
    std::int64_t backlog_first = 0;   // repl_backlog_first_byte_offset; 0 = there is no backlog
    std::int64_t keys = 0;            // of all databases
    std::int64_t loaded_keys = -1;    // rdb_last_load_keys_loaded: from its RDB at the start; -1 = it does not say
    std::int64_t replicated_bytes = -1;  // total_net_repl_input_bytes: from masters in this life; -1 = it does not say (before 7.0)
    std::vector<ReplicaLine> replicas;
    std::optional<env::Endpoint> follows;  // a replica's master
    bool is_link_up = false;
    bool is_syncing = false;
    std::int64_t last_io_seconds = -1;
    std::int64_t link_down_seconds = 0;  // -1: it has not been up since the replica was told to follow
    std::int64_t replica_offset = 0;
    std::int64_t replica_priority = 100;
    std::int64_t keyspace_hits = 0;
    std::int64_t keyspace_misses = 0;
    bool is_rdb_ok = true;
    bool is_aof_enabled = false;
    bool is_aof_write_ok = true;
    bool is_aof_rewrite_ok = true;
    bool is_aof_rewriting = false;   // under way or waited for: what is written meanwhile is in no file that counts yet
    std::int64_t aof_bytes = -1;     // aof_current_size: of its base and its increments, but for the base that an empty
    std::int64_t aof_base_bytes = 0; // server begins with (aof_base_size is 0 then; tried on 7.0.15)
    std::string maxmemory_policy;
};

// kProtocol when the text has no role: then it is not INFO of a data node.
[[nodiscard]] Result<NodeInfo> parse_node_info(std::string_view text);

// That a master has begun this life with an RDB file: it keeps the history and the end of that as its second ones, and its
// backlog begins there (src/server.c loadDataFromDisk). One that was promoted right after its full copy looks the same, but for
// the bytes that it has had from its master (both tried on 7.0.15).
[[nodiscard]] bool has_begun_with_a_file(const NodeInfo& master);

// That the first one has so few keys beside the other one that it must have lost them: less than a tenth.
[[nodiscard]] bool has_next_to_nothing(const NodeInfo& one, const NodeInfo& other);

// What the replica still has of that which its master came back without, in words; empty when nothing is lost. The replica
// is about to give it up: it can only copy the master in full.
//
// Either the master began this life with an older RDB file: that names the history and the offset of its state, which tells
// what the replica has more of it. More than the master has taken since, or nothing is lost. Or it is young, writes a history that the
// replica does not share, and has loaded nothing (writes that it has taken since do not hide that, as long as they are
// fewer than the replica's keys) or next to nothing. A flushed master is none of this: its replicas share its history, or
// began their own from it. Nor is a young one that was promoted: it had its data from its master, loaded nothing, and the former
// master, until its full copy, has keys of another history. Nor is one that restarted with its AOF, which names no history.
[[nodiscard]] std::string lost_data(const NodeInfo& master, const NodeInfo& replica);

struct Role {
    enum class Kind { kMaster, kReplica, kSentinel };
    Kind kind = Kind::kMaster;
    std::int64_t offset = 0;       // -1: a replica that is not connected
    env::Endpoint follows;         // of a replica
    std::string link;              // of a replica: none connect connecting handshake sync connected
    [[nodiscard]] bool is_master() const { return kind == Kind::kMaster; }
    [[nodiscard]] bool is_connected_replica() const { return kind == Kind::kReplica && link == "connected"; }
};
[[nodiscard]] Result<Role> parse_role(const Reply& reply);

}  // namespace aeterna::redis
