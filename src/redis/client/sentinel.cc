// Parsing of Sentinel's replies and events.
#include "redis/client/sentinel.h"

#include <map>

#include "base/strings.h"
#include "redis/client/connection.h"
#include "redis/client/info.h"

namespace aeterna::redis {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

Error wrong_form(std::string_view command) {
    return make_error(ErrorCode::kProtocol, "the reply to " + std::string(command) + " has an unknown form",
                      "Check that the address is a Sentinel's.");
}

// An odd trailing field is ignored; values that are not text are skipped.
std::optional<Fields> to_fields(const Reply& reply) {
    if (!reply.is_list()) return std::nullopt;
    Fields fields;
    for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
        const Reply& key = reply.elements[i];
        const Reply& value = reply.elements[i + 1];
        if (!key.is_text()) return std::nullopt;
        if (value.is_text())
            fields[key.text] = value.text;
        else if (const auto integer = value.to_number())
            fields[key.text] = std::to_string(*integer);
    }
    return fields;
}

std::string text_of(const Fields& fields, std::string_view name) {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string() : found->second;
}

std::int64_t number_of(const Fields& fields, std::string_view name, std::int64_t fallback = 0) {
    return to_integer(text_of(fields, name)).value_or(fallback);
}

env::Endpoint endpoint_of(std::string_view host, std::string_view port) {
    const auto number = to_integer(port);
    return {std::string(host), number && *number > 0 && *number < 65536 ? static_cast<int>(*number) : 0};
}

std::set<std::string> flags_of(const Fields& fields) {
    std::set<std::string> flags;
    const std::string text = text_of(fields, "flags");
    for (const std::string_view flag : split(text, ','))
        if (!flag.empty()) flags.emplace(flag);
    return flags;
}

std::optional<ReplicaView> to_replica(const Reply& reply) {
    const auto fields = to_fields(reply);
    if (!fields || text_of(*fields, "ip").empty()) return std::nullopt;
    ReplicaView view;
    view.address = endpoint_of(text_of(*fields, "ip"), text_of(*fields, "port"));
    view.flags = flags_of(*fields);
    view.priority = number_of(*fields, "slave-priority", 100);
    view.offset = number_of(*fields, "slave-repl-offset");
    view.last_ok_ping_ms = number_of(*fields, "last-ok-ping-reply");
    view.info_refresh_ms = number_of(*fields, "info-refresh");
    view.master_link_down_ms = number_of(*fields, "master-link-down-time");
    view.is_link_ok = text_of(*fields, "master-link-status") == "ok";
    return view;
}

}  // namespace

std::vector<Command> opinion_commands(const std::string& master_name) {
    return {{"SENTINEL", "MASTER", master_name},
            {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master_name},
            {"SENTINEL", "REPLICAS", master_name},
            {"SENTINEL", "CKQUORUM", master_name},
            {"INFO"}};
}

Result<SentinelOpinion> opinion_from_replies(const std::vector<Reply>& replies, const std::string& sentinel) {
    if (replies.size() != 5) return wrong_form("SENTINEL");
    for (std::size_t i = 0; i < 3; ++i)
        if (replies[i].is_error()) return error_of_reply(replies[i], sentinel);
    SentinelOpinion opinion;
    AETERNA_ASSIGN(opinion.master, parse_master_view(replies[0]));
    AETERNA_ASSIGN(const auto address, parse_master_address(replies[1]));
    opinion.current_address = address.value_or(opinion.master.address);
    AETERNA_ASSIGN(opinion.replicas, parse_replica_views(replies[2]));
    opinion.has_quorum = replies[3].is_text() && replies[3].text.rfind("OK", 0) == 0;
    opinion.quorum_text = one_line(replies[3].text);
    if (replies[4].is_text()) {
        const InfoFields fields = parse_info_fields(replies[4].text);
        const auto tilt = fields.find("sentinel_tilt");
        opinion.is_tilt = tilt != fields.end() && tilt->second != "0";
        const auto uptime = fields.find("uptime_in_seconds");
        if (uptime != fields.end()) opinion.uptime_seconds = to_integer(uptime->second);
    }
    return opinion;
}

bool SentinelOpinion::has_heard_master() const {
    constexpr std::int64_t kRoundingSeconds = 2;
    return !uptime_seconds || master.last_ok_ping_ms < (*uptime_seconds - kRoundingSeconds) * 1000;
}

Result<MasterView> parse_master_view(const Reply& reply) {
    const auto fields = to_fields(reply);
    if (!fields || text_of(*fields, "ip").empty() || !to_integer(text_of(*fields, "port")))
        return wrong_form("SENTINEL MASTER");
    MasterView view;
    view.name = text_of(*fields, "name");
    view.address = endpoint_of(text_of(*fields, "ip"), text_of(*fields, "port"));
    view.flags = flags_of(*fields);
    view.last_ok_ping_ms = number_of(*fields, "last-ok-ping-reply");
    view.down_after_ms = number_of(*fields, "down-after-milliseconds", 30000);
    view.failover_timeout_ms = number_of(*fields, "failover-timeout", 180000);
    view.s_down_ms = number_of(*fields, "s-down-time");
    view.o_down_ms = number_of(*fields, "o-down-time");
    view.config_epoch = number_of(*fields, "config-epoch");
    view.quorum = number_of(*fields, "quorum");
    view.other_sentinels = number_of(*fields, "num-other-sentinels");
    view.replica_count = number_of(*fields, "num-slaves");
    view.parallel_syncs = number_of(*fields, "parallel-syncs", 1);
    view.notification_script = text_of(*fields, "notification-script");
    view.client_reconfig_script = text_of(*fields, "client-reconfig-script");
    view.failover_state = text_of(*fields, "failover-state");
    view.role_reported = text_of(*fields, "role-reported");
    return view;
}

Result<std::vector<ReplicaView>> parse_replica_views(const Reply& reply) {
    if (!reply.is_list()) return wrong_form("SENTINEL REPLICAS");
    std::vector<ReplicaView> views;
    for (const Reply& element : reply.elements) {
        auto view = to_replica(element);
        if (!view) return wrong_form("SENTINEL REPLICAS");
        views.push_back(std::move(*view));
    }
    return views;
}

Result<std::optional<env::Endpoint>> parse_master_address(const Reply& reply) {
    if (reply.kind == Reply::Kind::kNull) return std::optional<env::Endpoint>();
    if (!reply.is_list() || reply.elements.size() != 2 || !reply.elements[0].is_text())
        return wrong_form("SENTINEL GET-MASTER-ADDR-BY-NAME");
    const auto port = reply.elements[1].to_number();
    if (!port || *port < 1 || *port > 65535) return wrong_form("SENTINEL GET-MASTER-ADDR-BY-NAME");
    return std::optional(env::Endpoint{reply.elements[0].text, static_cast<int>(*port)});
}

SentinelEvent parse_event(std::string_view channel, std::string_view payload) {
    SentinelEvent event;
    event.name = one_line(channel, 60);
    event.text = one_line(payload);
    const std::string text(payload);
    const auto words = split(text, ' ');
    if (channel == "+switch-master") {
        if (words.size() < 5) return event;
        event.master_name = words[0];
        event.previous = endpoint_of(words[1], words[2]);
        event.address = endpoint_of(words[3], words[4]);
        return event;
    }
    const bool is_instance =
        words.size() >= 4 && (words[0] == "master" || words[0] == "slave" || words[0] == "sentinel");
    if (!is_instance) return event;
    event.kind = words[0];
    event.address = endpoint_of(words[2], words[3]);
    if (words[0] == "master")
        event.master_name = words[1];
    else if (words.size() >= 6 && words[4] == "@")
        event.master_name = words[5];
    return event;
}

std::optional<SentinelEvent> event_from_message(const Reply& reply) {
    const auto& parts = reply.elements;
    const bool is_message = (reply.is_list() || reply.kind == Reply::Kind::kPush) && parts.size() == 4 &&
                            parts[0].text == "pmessage" && parts[2].is_text() && parts[3].is_text();
    if (!is_message) return std::nullopt;
    return parse_event(parts[2].text, parts[3].text);
}

std::optional<env::Endpoint> majority_address(const std::vector<env::Endpoint>& opinions, std::size_t voters) {
    std::map<env::Endpoint, std::size_t> votes;
    for (const env::Endpoint& opinion : opinions)
        if (++votes[opinion] > voters / 2) return opinion;
    return std::nullopt;
}

}  // namespace aeterna::redis
