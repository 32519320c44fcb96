// Parsing of Patroni's documents; see patroni_json.h.
#include "postgres/client/patroni_json.h"

#include "base/strings.h"

namespace aeterna::postgres {

namespace {

Error wrong(std::string_view what, std::string_view why) {
    return make_error(ErrorCode::kProtocol, std::string(what) + ": " + std::string(why),
                      "Check that the address is Patroni's REST interface.");
}

Result<Json> parse_object(std::string_view text, std::string_view what) {
    AETERNA_ASSIGN(Json document, parse_json(text, what));
    if (!document.is_object()) return wrong(what, "not an object");
    return document;
}

bool is_tag_set(const Json& object, std::string_view tag) {
    const Json* tags = find_member(object, "tags");
    return tags && find_boolean(*tags, tag).value_or(false);
}

PatroniReplication read_replication(const Json& item) {
    return {find_string(item, "application_name").value_or(""),
            find_string(item, "state").value_or(""), find_string(item, "sync_state").value_or("")};
}

void read_xlog(const Json& document, PatroniNode& node) {
    const Json* xlog = find_member(document, "xlog");
    if (!xlog) return;
    node.location = find_integer(*xlog, "location");
    node.received = find_integer(*xlog, "received_location");
    node.replayed = find_integer(*xlog, "replayed_location");
}

PatroniMember read_member(const Json& item) {
    PatroniMember member;
    member.name = find_string(item, "name").value_or("");
    member.role = find_string(item, "role").value_or("");
    if (member.role == "master") member.role = "primary";
    member.state = find_string(item, "state").value_or("unknown");
    member.api_url = find_string(item, "api_url").value_or("");
    member.version = find_string(item, "version").value_or("");
    member.timeline = find_integer(item, "timeline");
    member.lag_bytes = find_integer(item, "lag");
    member.nofailover = is_tag_set(item, "nofailover");
    member.nosync = is_tag_set(item, "nosync");
    return member;
}

std::string list_item(const Json& row, std::size_t index) {
    return index < row.size() && row[index].is_string() ? row[index].get<std::string>() : "";
}

}  // namespace

std::string normalise_role(const std::string& role) {
    return role == "master" || role == "leader" ? "primary" : role;
}

Result<PatroniNode> parse_patroni_node(std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_object(text, "patroni status"));
    const auto state = find_string(document, "state");
    if (!state) return wrong("patroni status", "no member 'state'");
    PatroniNode node;
    node.state = *state;
    node.role = normalise_role(find_string(document, "role").value_or(""));
    node.server_version = find_integer(document, "server_version");
    read_xlog(document, node);
    node.timeline = find_integer(document, "timeline");
    node.system_identifier = find_string(document, "database_system_identifier").value_or("");
    node.replication_state = find_string(document, "replication_state").value_or("");
    node.cluster_unlocked = find_boolean(document, "cluster_unlocked").value_or(false);
    node.failsafe_active = find_boolean(document, "failsafe_mode_is_active").value_or(false);
    node.paused = find_boolean(document, "pause").value_or(false);
    node.pending_restart = find_boolean(document, "pending_restart").value_or(false);
    node.is_sync_standby = find_boolean(document, "sync_standby").value_or(false);
    node.dcs_last_seen = find_integer(document, "dcs_last_seen");
    if (const Json* patroni = find_member(document, "patroni")) {
        node.patroni_version = find_string(*patroni, "version").value_or("");
        node.scope = find_string(*patroni, "scope").value_or("");
    }
    const Json* replication = find_member(document, "replication");
    if (replication && replication->is_array()) {
        for (const Json& item : *replication) node.replication.push_back(read_replication(item));
    }
    return node;
}

Result<PatroniCluster> parse_patroni_cluster(std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_object(text, "patroni cluster"));
    const Json* members = find_member(document, "members");
    if (!members || !members->is_array()) return wrong("patroni cluster", "no list 'members'");
    PatroniCluster cluster;
    for (const Json& item : *members) {
        PatroniMember member = read_member(item);
        if (member.name.empty()) return wrong("patroni cluster", "a member has no name");
        if (member.role == "leader" || member.role == "primary") cluster.leader = member.name;
        cluster.members.push_back(std::move(member));
    }
    cluster.paused = find_boolean(document, "pause").value_or(false);
    if (const Json* planned = find_member(document, "scheduled_switchover")) {
        cluster.scheduled_switchover = find_string(*planned, "at").value_or("");
    }
    return cluster;
}

Result<PatroniConfig> parse_patroni_config(std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_object(text, "patroni config"));
    PatroniConfig config;
    const auto integer = [&](std::string_view key, std::int64_t& value) {
        value = find_integer_or_text(document, key).value_or(value);
    };
    integer("ttl", config.ttl);
    integer("loop_wait", config.loop_wait);
    integer("retry_timeout", config.retry_timeout);
    integer("maximum_lag_on_failover", config.maximum_lag_on_failover);
    integer("master_start_timeout", config.primary_start_timeout);
    integer("primary_start_timeout", config.primary_start_timeout);
    // 4.x knows "quorum" beside true and false.
    if (const Json* mode = find_member(document, "synchronous_mode")) {
        config.synchronous_mode = mode->is_boolean() ? mode->get<bool>() : mode->is_string();
    }
    config.synchronous_mode_strict =
        find_boolean(document, "synchronous_mode_strict").value_or(false);
    config.failsafe_mode = find_boolean(document, "failsafe_mode").value_or(false);
    config.paused = find_boolean(document, "pause").value_or(false);
    const Json* standby = find_member(document, "standby_cluster");
    config.is_standby_cluster = standby && standby->is_object() && !standby->empty();
    if (const Json* postgresql = find_member(document, "postgresql")) {
        config.use_pg_rewind = find_boolean(*postgresql, "use_pg_rewind").value_or(false);
        const Json* parameters = find_member(*postgresql, "parameters");
        if (parameters && parameters->is_object()) config.parameters = *parameters;
    }
    config.document = std::move(document);
    return config;
}

Result<std::vector<PatroniHistoryEntry>> parse_patroni_history(std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_json(text, "patroni history"));
    if (!document.is_array()) return wrong("patroni history", "not a list");
    std::vector<PatroniHistoryEntry> entries;
    for (const Json& row : document) {
        if (!row.is_array() || row.size() < 2 || !row[0].is_number_integer() ||
            !row[1].is_number_integer()) {
            return wrong("patroni history", "an entry has no timeline and position");
        }
        entries.push_back({row[0].get<std::int64_t>(), row[1].get<std::int64_t>(),
                           list_item(row, 2), list_item(row, 3), list_item(row, 4)});
    }
    return entries;
}

Result<PatroniMember> parse_member_key(const std::string& name, std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_object(text, "member key '" + name + "'"));
    PatroniMember member = read_member(document);
    member.name = name;
    member.location = find_integer(document, "replay_lsn");
    if (!member.location) member.location = find_integer(document, "xlog_location");
    return member;
}

Result<SyncState> parse_sync_key(std::string_view text) {
    AETERNA_ASSIGN(Json document, parse_object(text, "sync key"));
    SyncState sync;
    sync.leader = find_string(document, "leader").value_or("");
    const std::string standbys = find_string(document, "sync_standby").value_or("");
    for (std::string_view part : split(standbys, ',')) {
        if (!trim(part).empty()) sync.standbys.emplace_back(trim(part));
    }
    return sync;
}

Result<std::optional<FailoverRequest>> parse_failover_key(std::string_view text) {
    if (trim(text).empty()) return std::optional<FailoverRequest>();
    AETERNA_ASSIGN(Json document, parse_object(text, "failover key"));
    FailoverRequest request{find_string(document, "leader").value_or(""),
                            find_string(document, "member").value_or(""),
                            find_string(document, "scheduled_at").value_or("")};
    if (request.leader.empty() && request.candidate.empty())
        return std::optional<FailoverRequest>();
    return std::optional<FailoverRequest>(std::move(request));
}

bool is_version_before(const std::string& version, int major, int minor) {
    const auto parts = split(version, '.');
    if (parts.size() < 2) return false;
    const auto first = to_integer(parts[0]);
    const auto second = to_integer(parts[1]);
    if (!first || !second) return false;
    return *first < major || (*first == major && *second < minor);
}

}  // namespace aeterna::postgres
