#include "samples.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace aeterna::app::samples {
namespace {

engine::NodeStatus node(const std::string& name, const std::string& kind, const std::string& role,
                        const std::string& state, std::optional<std::int64_t> lag = std::nullopt,
                        const std::string& note = "") {
    engine::NodeStatus status;
    status.name = name;
    status.kind = kind;
    status.role = role;
    status.state = state;
    status.lag_bytes = lag;
    status.note = note;
    return status;
}

engine::StoreStatus postgres() {
    engine::StoreStatus store;
    store.store = "postgres";
    store.health = engine::Health::kOk;
    store.primary = "postgres-1";
    store.nodes = {node("postgres-1", "postgres", "primary", "running"),
                   node("postgres-2", "postgres", "replica", "streaming", 0),
                   node("postgres-3", "postgres", "replica", "streaming", 3'600'000),
                   node("patroni-1", "patroni", "leader", "running"),
                   node("patroni-2", "patroni", "member", "running"),
                   node("patroni-3", "patroni", "member", "running"),
                   node("etcd-1", "etcd", "member", "running"),
                   node("etcd-2", "etcd", "member", "running"),
                   node("etcd-3", "etcd", "member", "running"),
                   node("haproxy-1", "haproxy", "proxy", "running", std::nullopt, "to postgres-1")};
    return store;
}

engine::StoreStatus redis() {
    engine::StoreStatus store;
    store.store = "redis";
    store.health = engine::Health::kOk;
    store.primary = "redis-1";
    store.nodes = {node("redis-1", "redis", "primary", "running"),
                   node("redis-2", "redis", "replica", "connected", 0),
                   node("redis-3", "redis", "replica", "connected", 812),
                   node("sentinel-1", "sentinel", "sentinel", "running"),
                   node("sentinel-2", "sentinel", "sentinel", "running"),
                   node("sentinel-3", "sentinel", "sentinel", "running")};
    return store;
}

engine::StoreStatus qdrant() {
    engine::StoreStatus store;
    store.store = "qdrant";
    store.health = engine::Health::kOk;
    store.extra["cluster_status"] = "Green";
    for (const char* name : {"qdrant-1", "qdrant-2", "qdrant-3"}) {
        store.nodes.push_back(node(name, "qdrant", "peer", "running"));
        store.nodes.back().server = "stand-in";
    }
    return store;
}

}  // namespace

StatusView healthy() {
    using namespace std::chrono_literals;
    StatusView view;
    view.status.stack = "lab";
    view.status.healthy = true;
    view.status.watcher = "serve";
    view.status.at = from_unix_us(1'795'440'600'123'456);
    view.status.stores = {postgres(), redis(), qdrant()};
    view.objectives = {{"postgres", {5min, 5min}}, {"redis", {2min, 5min}}, {"qdrant", {10min, 5min}}};
    view.overall = {15min, 5min};
    return view;
}

StatusView redis_master_down() {
    StatusView view = healthy();
    view.status.healthy = false;
    engine::StoreStatus& store = view.status.stores[1];
    store.health = engine::Health::kDown;
    store.primary.reset();
    store.nodes[0] = node("redis-1", "redis", "unknown", "stopped", std::nullopt, "connection refused");
    store.nodes[1].state = "connect";
    store.nodes[2].fenced = true;
    store.reasons = {"no node is a working master", "redis-2: its replication link is 'connect'"};
    engine::IncidentSummary incident;
    incident.id = "inc-20261123T100000Z-05b3";
    incident.detector = "redis.master_down";
    incident.store = "redis";
    incident.subject = "redis-1";
    incident.severity = "critical";
    incident.state = "open";
    incident.summary = "the master redis-1 is dead: its port refuses connections";
    incident.reasons = {"redis-1 RESP: connect to '127.0.94.1:6379': Connection refused, which is a long line",
                        "redis-2: its replication link is down"};
    incident.opened_at = view.status.at - std::chrono::milliseconds(6300);
    view.status.incidents = {incident};
    return view;
}

StatusView in_maintenance() {
    StatusView view = healthy();
    view.status.assist = "act";
    view.status.paused = true;
    for (const std::size_t store : {0, 1}) view.status.stores[store].assist = "act";
    view.status.stores[1].paused = true;
    view.status.stores[1].nodes[2].fenced = true;
    view.status.maintenance = {{"maint-20261123T100000Z-05b3", "redis", "new disks", view.status.at + std::chrono::hours(2)}};
    return view;
}

StatusView isolated() {
    StatusView view = healthy();
    view.status.healthy = false;
    view.status.isolated = true;
    view.status.watcher = "direct";
    view.notices = {"serve is not running: nobody watches this stack, this is one look"};
    for (engine::StoreStatus& store : view.status.stores) {
        store.health = engine::Health::kUnknown;
        store.primary.reset();
        for (engine::NodeStatus& each : store.nodes) each = node(each.name, each.kind, "unknown", "unreachable");
    }
    return view;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

void expect_golden(const std::string& name, const std::string& text) {
    const std::string path = std::string(AETERNA_GOLDEN_DIR) + "/" + name;
    if (std::getenv("AETERNA_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    std::ifstream file(path);
    ASSERT_TRUE(file) << path << " is missing; write it with AETERNA_UPDATE_GOLDEN=1";
    std::stringstream golden;
    golden << file.rdbuf();
    EXPECT_EQ(text, golden.str()) << "differs from " << path;
}

}  // namespace aeterna::app::samples
