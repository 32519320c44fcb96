// redis.conf and sentinel.conf. Addresses are announced explicitly: a connection between loopback
// addresses comes from 127.0.0.1, which is what Redis and Sentinel would tell each other otherwise.
#include <fmt/format.h>

#include "lab/server_config.h"

namespace aeterna::lab {

std::string redis_config(const Layout& layout, const Secrets& secrets, int host) {
    const env::Endpoint own = layout.endpoint("redis", host);
    std::string text = fmt::format(
        R"(bind {address}
port {port}
protected-mode no
daemonize no
dir {data}
appendonly yes
appendfsync everysec
requirepass {password}
masterauth {password}
replica-announce-ip {address}
replica-announce-port {port}
)",
        fmt::arg("address", own.host), fmt::arg("port", own.port),
        fmt::arg("data", layout.path(fmt::format("data/redis-{}", host))),
        fmt::arg("password", secrets.reveal("redis")));
    const env::Endpoint master = layout.endpoint("redis", 1);
    if (host != 1) text += fmt::format("replicaof {} {}\n", master.host, master.port);
    return text;
}

std::string sentinel_config(const Layout& layout, const Secrets& secrets, int host) {
    const env::Endpoint own = layout.endpoint("sentinel", host);
    const env::Endpoint master = layout.endpoint("redis", 1);
    return fmt::format(
        R"(bind {address}
port {port}
protected-mode no
daemonize no
dir {data}
sentinel announce-ip {address}
sentinel announce-port {port}
sentinel monitor {name} {master} {master_port} 2
sentinel auth-pass {name} {password}
sentinel down-after-milliseconds {name} 30000
sentinel failover-timeout {name} 180000
sentinel parallel-syncs {name} 1
)",
        fmt::arg("address", own.host), fmt::arg("port", own.port),
        fmt::arg("data", layout.path(fmt::format("data/sentinel-{}", host))),
        fmt::arg("name", kMasterName), fmt::arg("master", master.host),
        fmt::arg("master_port", master.port), fmt::arg("password", secrets.reveal("redis")));
}

}  // namespace aeterna::lab
