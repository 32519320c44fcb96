// Status of PostgreSQL: servers, agents, etcd, the proxy, and what is wrong with them.
#include "postgres/detect/status.h"

#include <fmt/core.h>

#include <algorithm>

namespace aeterna::postgres {

namespace {

using engine::Health;
using engine::NodeStatus;
using engine::StoreStatus;

std::string state_of(const Look& look) {
    switch (look.answer) {
        case Answer::kRefused: return "stopped";
        case Answer::kSilent: return "unreachable";
        case Answer::kUnavailable: return "starting";
        case Answer::kRejected: return "rejected";
        default: return "unknown";
    }
}

// The postmaster hangs, or cannot fork: what is connected goes on, nobody new gets in.
bool starts_no_session(const World& world, const NodeSettings& node) {
    const auto& connect = world.of(node.name).connect;
    return world.of(node.name).sql.value && connect.answer == Answer::kSilent &&
           connect.repeats >= 2 && connect.value && connect.value->tcp_accepted;
}

NodeStatus server_status(const World& world, const NodeSettings& node) {
    const NodeObservations& of = world.of(node.name);
    NodeStatus status;
    status.name = node.name;
    status.kind = "postgres";
    status.site = node.site;
    status.role = "unknown";
    if (of.sql.value) {
        status.role = of.sql.value->in_recovery ? "replica" : "primary";
    } else if (of.rest.value && of.rest.value->is_running()) {
        status.role = of.rest.value->role;
    }
    status.lag_bytes = world.lag_bytes(node.name);
    if (!of.sql.value) {
        status.state = state_of(of.sql);
        status.note = of.sql.error;
    } else if (status.role == "replica") {
        status.state = world.is_streaming(node.name) ? "streaming" : "running";
    } else {
        status.state = "running";
    }
    if (starts_no_session(world, node)) status.note = "starts no new session";
    // Patroni's own word is more exact where PostgreSQL itself cannot speak.
    if (!of.sql.value && of.rest.value && !of.rest.value->is_running())
        status.state = of.rest.value->state;
    return status;
}

NodeStatus agent_status(const World& world, const NodeSettings& node) {
    const auto& rest = world.of(node.name).rest;
    NodeStatus status;
    status.name = node.agent;
    status.kind = "patroni";
    status.site = node.site;
    status.role = "member";
    if (world.key_holder == node.name) status.role = "leader";
    status.state = rest.value ? "running" : state_of(rest);
    if (!rest.value) {
        status.note = rest.error;
    } else if (rest.value->failsafe_active) {
        status.note = "failsafe mode is active";
    } else if (rest.value->paused) {
        status.note = "paused";
    } else if (rest.value->pending_restart) {
        status.note = "PostgreSQL needs a restart";
    }
    return status;
}

std::string site_of_address(const Settings& settings, const std::string& address) {
    for (const NodeSettings& node : settings.nodes) {
        if (address.find("//" + node.address.host + ":") != std::string::npos) return node.site;
    }
    return "";
}

void add_etcd(const World& world, StoreStatus& status) {
    const auto& health = world.seen.etcd_health;
    if (!world.settings->etcd) return;
    const auto& endpoints = world.settings->etcd->endpoints;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
        NodeStatus node;
        node.name = etcd_node_name(i);
        node.kind = "etcd";
        node.role = "member";
        node.site = site_of_address(*world.settings, endpoints[i]);
        node.state = "unknown";
        if (health.value && i < health.value->size()) {
            const services::EtcdMemberHealth& member = (*health.value)[i];
            node.state = !member.answered    ? "unreachable"
                         : member.has_leader ? "running"
                                             : "no leader";
            node.note = member.reason;
        }
        if (node.state != "running") status.reasons.push_back(node.name + " is " + node.state);
        status.nodes.push_back(std::move(node));
    }
}

void add_proxy(const World& world, StoreStatus& status) {
    if (!world.settings->client) return;
    const auto& client = world.seen.client;
    NodeStatus node;
    node.name = "haproxy-1";
    node.kind = "haproxy";
    node.role = "proxy";
    // A proxy that accepts but gives no session is one without a server behind it.
    if (client.value) {
        node.state = "running";
        node.note = "to " + client.value->answerer;
    } else if (client.answer != Answer::kNever && world.seen.client_accepts) {
        node.state = "running";
        node.note = "no server behind it answers";
    } else {
        node.state = client.answer == Answer::kNever ? "unknown" : state_of(client);
        node.note = client.error;
    }
    if (world.client_path_fails()) {
        status.reasons.push_back(client.value ? "the client path ends at a replica"
                                              : describe_look(world, "client path", client));
    }
    status.nodes.push_back(std::move(node));
}

void add_servers(const World& world, StoreStatus& status) {
    for (const NodeSettings& node : world.settings->nodes) {
        NodeStatus server = server_status(world, node);
        if (server.role != "primary" && server.state != "streaming") {
            status.reasons.push_back("'" + node.name + "' is " + server.state);
        }
        if (starts_no_session(world, node))
            status.reasons.push_back("'" + node.name + "' accepts connections, but " + server.note);
        if (server.lag_bytes && *server.lag_bytes > world.config().maximum_lag_on_failover) {
            status.reasons.push_back(
                fmt::format("'{}' is {} bytes behind", node.name, *server.lag_bytes));
        }
        status.nodes.push_back(std::move(server));
    }
    for (const NodeSettings& node : world.settings->nodes) {
        NodeStatus agent = agent_status(world, node);
        if (agent.state != "running")
            status.reasons.push_back("'" + node.agent + "' is " + agent.state);
        status.nodes.push_back(std::move(agent));
    }
}

bool somebody_answers(const World& world) {
    if (world.dcs()) return true;
    return std::any_of(world.seen.nodes.begin(), world.seen.nodes.end(), [](const auto& entry) {
        return entry.second.sql.answer != Answer::kNever &&
               entry.second.sql.answer != Answer::kSilent;
    });
}

// Nobody takes writes: proven, or only not seen? Unknown is an answer.
Health health_without_primary(const World& world, StoreStatus& status) {
    if (const std::string writer = world.client_writer(); !writer.empty()) {
        status.reasons.insert(
            status.reasons.begin(),
            "no way from here to '" + writer + "', which takes writes by the client path");
        return Health::kDegraded;
    }
    status.reasons.insert(status.reasons.begin(), "no node accepts writes");
    if (!somebody_answers(world)) {
        status.reasons.insert(status.reasons.begin(),
                              "nothing answers: this watcher may be cut off");
        return Health::kUnknown;
    }
    if (world.cut_off()) {
        status.reasons.front() =
            "no node answers, but etcd sees the leader live: this watcher may be cut off";
        return Health::kUnknown;
    }
    if (world.reference.empty()) return world.dcs() ? Health::kDown : Health::kUnknown;
    const auto& sql = world.of(world.reference).sql;
    if (sql.answer == Answer::kNever || sql.answer == Answer::kRejected) return Health::kUnknown;
    if (sql.answer != Answer::kSilent) return Health::kDown;
    // Silence: believed when a second vantage agrees.
    const bool agent_silent = !world.of(world.reference).rest.value;
    return agent_silent || world.client_path_fails() ? Health::kDown : Health::kUnknown;
}

void add_heartbeat(const World& world, StoreStatus& status, Health& health) {
    if (!world.settings->heartbeat_approved) {
        status.extra["heartbeat"] = "read-only";
        return;
    }
    const auto& heartbeat = world.of(*world.primary).heartbeat;
    status.extra["heartbeat"] = heartbeat.value && *heartbeat.value ? "writing" : "read-only";
    if (heartbeat.answer == Answer::kNever || heartbeat.value) return;
    status.reasons.insert(status.reasons.begin(), describe_look(world, "heartbeat", heartbeat));
    // Two ways in that both refuse a row: writes are down, whatever the server says about itself.
    health = world.client_path_fails() ? Health::kDown : Health::kDegraded;
}

void add_consistency(const World& world, StoreStatus& status) {
    if (world.writers.size() > 1) status.reasons.push_back("more than one node accepts writes");
    const std::string& holder = world.key_holder;
    if (world.dcs() && holder != world.primary) {
        status.reasons.push_back(holder.empty() ? "nobody holds the leader key"
                                                : "the leader key is held by '" + holder + "'");
    }
    if (world.config().paused) status.reasons.push_back("Patroni is paused");
    if (world.dcs() && world.config().synchronous_mode && world.sync_standbys().empty()) {
        status.reasons.push_back("synchronous mode has no healthy synchronous standby");
    }
    if (!world.dcs() && world.settings->etcd) {
        status.reasons.push_back(describe_look(world, "etcd keys", world.seen.dcs));
    }
}

}  // namespace

std::string etcd_node_name(std::size_t index) { return fmt::format("etcd-{}", index + 1); }

StoreStatus build_status(const World& world) {
    StoreStatus status;
    status.store = "postgres";
    status.primary = world.primary;
    const std::size_t members = world.settings->etcd ? world.settings->etcd->endpoints.size() : 0;
    status.nodes.reserve(2 * world.settings->nodes.size() + members + 1);
    add_servers(world, status);
    add_etcd(world, status);
    add_proxy(world, status);
    if (!world.primary) {
        add_consistency(world, status);
        status.health = world.isolated ? Health::kUnknown : health_without_primary(world, status);
        if (world.writers.size() > 1) status.health = Health::kDegraded;
        status.extra["heartbeat"] = world.settings->heartbeat_approved ? "none" : "read-only";
        return status;
    }
    add_consistency(world, status);
    Health health = status.reasons.empty() ? Health::kOk : Health::kDegraded;
    add_heartbeat(world, status, health);
    status.health = health;
    if (const auto timeline = world.timeline(*world.primary)) status.extra["timeline"] = *timeline;
    const auto& sql = world.of(*world.primary).sql.value;
    if (sql) status.extra["system_identifier"] = sql->system_identifier;
    // Not a fault: it only says what `ok` rests on.
    if (!world.settings->heartbeat_approved) {
        status.reasons.push_back(
            "judged without writing: the stack file gives no approval 'heartbeat'");
    }
    return status;
}

}  // namespace aeterna::postgres
