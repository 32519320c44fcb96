// Parsing INFO and ROLE. Missing fields keep their defaults: older and newer servers differ in them.
#include "redis/client/info.h"

#include <fmt/core.h>

#include "base/strings.h"

namespace aeterna::redis {
namespace {

std::string_view field(const InfoFields& fields, std::string_view name, std::string_view fallback = "") {
    const auto found = fields.find(name);
    return found == fields.end() ? fallback : std::string_view(found->second);
}

std::int64_t number(const InfoFields& fields, std::string_view name, std::int64_t fallback = 0) {
    return to_integer(field(fields, name)).value_or(fallback);
}

bool is_ok(const InfoFields& fields, std::string_view name) { return field(fields, name, "ok") == "ok"; }

int to_port(std::optional<std::int64_t> value) {
    return value && *value > 0 && *value < 65536 ? static_cast<int>(*value) : 0;
}

ReplicaLine parse_replica_line(std::string_view text) {
    ReplicaLine line;
    for (const std::string_view part : split(text, ',')) {
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view key = part.substr(0, equals);
        const std::string_view value = part.substr(equals + 1);
        if (key == "ip") line.address.host = value;
        if (key == "port") line.address.port = to_port(to_integer(value));
        if (key == "state") line.state = value;
        if (key == "offset") line.offset = to_integer(value).value_or(0);
        if (key == "lag") line.lag_seconds = to_integer(value).value_or(0);
    }
    return line;
}

void read_replication(const InfoFields& fields, NodeInfo& info) {
    info.replid = field(fields, "master_replid");
    info.replid2 = field(fields, "master_replid2");
    info.master_offset = number(fields, "master_repl_offset");
    info.backlog_first = number(fields, "repl_backlog_first_byte_offset");
    info.second_offset = number(fields, "second_repl_offset", -1);
    for (std::size_t i = 0; i < 1000; ++i) {
        const auto found = fields.find("slave" + std::to_string(i));
        if (found == fields.end()) break;
        info.replicas.push_back(parse_replica_line(found->second));
    }
    if (info.is_master) return;
    info.follows =
        env::Endpoint{std::string(field(fields, "master_host")), to_port(to_integer(field(fields, "master_port")))};
    info.is_link_up = field(fields, "master_link_status") == "up";
    info.is_syncing = number(fields, "master_sync_in_progress") != 0;
    info.last_io_seconds = number(fields, "master_last_io_seconds_ago", -1);
    info.link_down_seconds = number(fields, "master_link_down_since_seconds");
    info.replica_offset = number(fields, "slave_repl_offset");
    info.replica_priority = number(fields, "slave_priority", 100);
}

// "db0:keys=3,expires=0,avg_ttl=0".
std::int64_t count_keys(const InfoFields& fields) {
    std::int64_t keys = 0;
    for (const auto& [name, value] : fields) {
        if (name.rfind("db", 0) != 0 || !to_integer(std::string_view(name).substr(2))) continue;
        const std::string_view first = split(value, ',').front();
        if (first.rfind("keys=", 0) == 0) keys += to_integer(first.substr(5)).value_or(0);
    }
    return keys;
}

// The history of the replica is the one that the file is a state of, or its continuation by the process before this
// one, which the replica has followed: else the second one is that of a promotion of its own.
bool is_history_of_the_file(const NodeInfo& master, const NodeInfo& replica) {
    if (replica.replid == master.replid2) return true;
    return replica.replid2 == master.replid2 && replica.link_down_seconds >= 0;
}

Error not_a_role() { return make_error(ErrorCode::kProtocol, "the reply to ROLE has an unknown form"); }

}  // namespace

InfoFields parse_info_fields(std::string_view text) {
    InfoFields fields;
    for (std::string_view line : split(text, '\n')) {
        line = trim(line);
        const std::size_t colon = line.find(':');
        if (line.empty() || line.front() == '#' || colon == std::string_view::npos) continue;
        fields.emplace(line.substr(0, colon), line.substr(colon + 1));
    }
    return fields;
}

Result<NodeInfo> parse_node_info(std::string_view text) {
    const InfoFields fields = parse_info_fields(text);
    const std::string_view role = field(fields, "role");
    if (role != "master" && role != "slave")
        return make_error(ErrorCode::kProtocol, "the reply to INFO has no role of a data node",
                          "Check that the address is a Redis server's, not a Sentinel's.");
    NodeInfo info;
    info.is_master = role == "master";
    info.version = field(fields, "redis_version");
    info.run_id = field(fields, "run_id");
    info.uptime_seconds = number(fields, "uptime_in_seconds");
    info.is_loading = number(fields, "loading") != 0;
    info.keyspace_hits = number(fields, "keyspace_hits");
    info.keyspace_misses = number(fields, "keyspace_misses");
    info.is_rdb_ok = is_ok(fields, "rdb_last_bgsave_status");
    info.is_aof_enabled = number(fields, "aof_enabled") != 0;
    info.is_aof_write_ok = is_ok(fields, "aof_last_write_status");
    info.is_aof_rewriting = number(fields, "aof_rewrite_in_progress") != 0 || number(fields, "aof_rewrite_scheduled") != 0;
    info.aof_bytes = fields.count("aof_current_size") != 0 ? number(fields, "aof_current_size") : -1;
    info.aof_base_bytes = number(fields, "aof_base_size");
    info.is_aof_rewrite_ok = is_ok(fields, "aof_last_bgrewrite_status");
    info.maxmemory_policy = field(fields, "maxmemory_policy");
    info.keys = count_keys(fields);
    info.loaded_keys = number(fields, "rdb_last_load_keys_loaded", -1);
    info.replicated_bytes = number(fields, "total_net_repl_input_bytes", -1);
    read_replication(fields, info);
    return info;
}

bool has_begun_with_a_file(const NodeInfo& master) {
    return master.second_offset >= 0 && master.backlog_first == master.second_offset && master.replicated_bytes <= 0;
}

bool has_next_to_nothing(const NodeInfo& one, const NodeInfo& other) {
    constexpr std::int64_t kNextToNothing = 10;
    return one.keys * kNextToNothing < other.keys;
}

std::string lost_data(const NodeInfo& master, const NodeInfo& replica) {
    constexpr std::int64_t kYoungSeconds = 120;
    if (!master.is_master || master.is_loading || master.uptime_seconds > kYoungSeconds) return "";
    const bool has_file = has_begun_with_a_file(master);
    // Promoted in this life: its data came by replication. Who then follows it with keys of another history is the
    // former master, before its full copy.
    if (master.second_offset >= 0 && !has_file) return "";
    if (replica.is_master || replica.keys == 0 || replica.replid == master.replid) return "";
    // It was promoted for a while, and has parted from the very history that the master still writes.
    if (replica.replid2 == master.replid) return "";
    if (has_file && is_history_of_the_file(master, replica)) {
        if (replica.replica_offset <= master.master_offset) return "";
        return fmt::format("{} bytes more of the same history, of which the master began at {}",
                           replica.replica_offset - master.second_offset + 1, master.second_offset);
    }
    const bool has_loaded_nothing = master.keys == 0 || (!master.is_aof_enabled && master.loaded_keys == 0);
    // What it has taken since is worth more than what a replica that was away still has.
    const bool has_less = master.keys < replica.keys;
    const bool is_lost = (has_loaded_nothing && has_less) || has_next_to_nothing(master, replica);
    return is_lost ? fmt::format("{} keys of another history", replica.keys) : "";
}

Result<Role> parse_role(const Reply& reply) {
    if (!reply.is_list() || reply.elements.empty() || !reply.elements.front().is_text()) return not_a_role();
    const auto& parts = reply.elements;
    Role role;
    if (parts.front().text == "sentinel") {
        role.kind = Role::Kind::kSentinel;
        return role;
    }
    if (parts.front().text == "master") {
        if (parts.size() < 2 || !parts[1].to_number()) return not_a_role();
        role.offset = *parts[1].to_number();
        return role;
    }
    if (parts.front().text != "slave" || parts.size() < 5 || !parts[1].is_text() || !parts[3].is_text() ||
        !parts[4].to_number())
        return not_a_role();
    role.kind = Role::Kind::kReplica;
    role.follows = {parts[1].text, to_port(parts[2].to_number())};
    role.link = parts[3].text;
    role.offset = *parts[4].to_number();
    return role;
}

}  // namespace aeterna::redis
