#include "harness/redis_cluster.h"

#include <fmt/format.h>

namespace aeterna::sim {
namespace {

constexpr int kRedisPort = 6379;
constexpr int kSentinelPort = 26379;

}  // namespace

RedisCluster::RedisCluster(World& world, bool is_persistent) : Site(world) {
    etcd_ = std::make_unique<models::Etcd>(world_, hosts_, kEtcdPort);
    std::vector<models::Redis*> servers;
    for (Host* host : hosts_) {
        const std::string name = "redis-" + host->name.substr(5);
        redis_.push_back(
            std::make_unique<models::Redis>(world_, name, *host, env::Endpoint{host->address, kRedisPort}));
        servers.push_back(redis_.back().get());
        redis_.back()->is_persistent = is_persistent;
        redis_.back()->find_server = [this](const env::Endpoint& endpoint) -> models::Redis* {
            for (const auto& server : redis_) {
                if (server->endpoint() == endpoint) return server.get();
            }
            return nullptr;
        };
    }
    for (Host* host : hosts_) {
        sentinels_.push_back(std::make_unique<models::Sentinel>(world_, "sentinel-" + host->name.substr(5), *host,
                                                                env::Endpoint{host->address, kSentinelPort}, servers));
    }
    for (const auto& sentinel : sentinels_) {
        for (const auto& other : sentinels_) {
            if (other != sentinel) sentinel->peers.push_back(other.get());
        }
    }
    for (int i = 0; i < kNodes; ++i) {
        if (i != 0) redis(i).follow(redis(0).endpoint());
        redis(i).rewrite_config();
        redis(i).start();
        if (i != 0) redis(i).begin_with(redis(0));
    }
    for (const auto& sentinel : sentinels_) sentinel->start();
    world_.programs["start-node"] = [this](const std::vector<std::string>& argv, Process&) {
        env::RunResult result;
        result.exit_status = argv.size() == 2 && start_node(argv[1]) ? 0 : 1;
        if (result.exit_status != 0) result.errors = "refused: a fence marker is there";
        return result;
    };
}

int RedisCluster::number_of(const std::string& name) {
    const bool is_ours = name.starts_with("redis-") && name.size() == 7 && name.back() >= '1' && name.back() <= '3';
    return is_ours ? name.back() - '1' : -1;
}

int RedisCluster::named() {
    for (int i = 0; i < kNodes; ++i) {
        int votes = 0, running = 0;
        for (const auto& sentinel : sentinels_) {
            if (!sentinel->is_running()) continue;
            ++running;
            votes += sentinel->master() == &redis(i) ? 1 : 0;
        }
        if (2 * votes > running) return i;
    }
    return -1;
}

int RedisCluster::master() {
    const int node = named();
    return node >= 0 && redis(node).is_running() && redis(node).is_master() ? node : -1;
}

bool RedisCluster::is_healthy() {
    const int leader = master();
    if (leader < 0 || !redis(leader).takes_writes() || !etcd_->has_leader()) return false;
    for (int i = 0; i < kNodes; ++i) {
        if (!sentinel(i).is_responsive() || sentinel(i).master() != &redis(leader)) return false;
        if (i == leader) continue;
        const bool follows = redis(i).is_responsive() && redis(i).is_link_up() &&
                             redis(i).follows() == redis(leader).endpoint() &&
                             redis(i).replid() == redis(leader).replid();
        if (!follows) return false;
    }
    return true;
}

std::string RedisCluster::describe() {
    std::string text = fmt::format("etcd leader: {}", etcd_->has_leader());
    for (int i = 0; i < kNodes; ++i) {
        const models::Redis& server = redis(i);
        const models::Sentinel& watcher = sentinel(i);
        text +=
            fmt::format("\n  {}: {}{}{} history {} offset {} rows {} follows {}{}; {} {} names {}", server.name(),
                        server.is_running() ? "up" : "down", server.is_responsive() ? "" : " silent",
                        server.is_master() ? " master" : " replica", server.replid(), server.offset(),
                        server.rows().size(), server.follows() ? server.follows()->to_string() : "nobody",
                        server.is_link_up() ? " (link up)" : "", watcher.name(), watcher.is_running() ? "up" : "down",
                        watcher.master() ? watcher.master()->name() : "nobody");
    }
    return text;
}

bool RedisCluster::start_node(const std::string& node) {
    if (is_marked(node) || node.empty()) return false;
    const int number = node.back() - '1';
    if (number < 0 || number >= kNodes) return false;
    if (node.starts_with("redis-")) redis(number).start();
    if (node.starts_with("sentinel-")) sentinel(number).start();
    if (node.starts_with("etcd-")) etcd_->restart(static_cast<std::size_t>(number));
    return true;
}

void RedisCluster::start_missing() {
    for (const Host* host : hosts_) wake_all_on(*host);
    for (int i = 1; i <= kNodes; ++i) {
        for (const char* kind : {"etcd", "redis", "sentinel"})
            static_cast<void>(start_node(fmt::format("{}-{}", kind, i)));
    }
}

std::string RedisCluster::stack_file(const std::string& state_directory, const std::string& assist) const {
    std::string text = stack_head(state_directory) + "hosts:\n";
    for (int i = 1; i <= kNodes; ++i) {
        text += fmt::format(
            "  - name: host-{0}\n    site: a\n    executor: local\n    processes:\n      - node: redis-{0}\n"
            "        pid_file: /run/redis/redis-{0}.pid\n        start: [start-node, redis-{0}]\n",
            i);
        if (!assist.empty() && i != unfenceable + 1) text += "        fence: marker\n";
    }
    text += "stores:\n  redis:\n    approvals: [failover, switchover]\n    master_name: aeterna-master\n";
    if (!assist.empty()) text += fmt::format("    assist: {}\n", assist);
    text += "    nodes:\n";
    for (int i = 1; i <= kNodes; ++i) {
        text += fmt::format(
            "      - {{name: redis-{0}, address: '10.0.0.{0}:{1}', config_file: /etc/redis/redis-{0}.conf}}\n", i,
            kRedisPort);
    }
    text += "    sentinels:\n";
    for (int i = 1; i <= kNodes; ++i) {
        text += fmt::format("      - {{name: sentinel-{0}, address: '10.0.0.{0}:{1}'}}\n", i, kSentinelPort);
    }
    return text;
}

}  // namespace aeterna::sim
