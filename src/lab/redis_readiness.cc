// The checks of Redis and Sentinel.
#include <fmt/format.h>

#include "lab/readiness.h"
#include "lab/server_config.h"
#include "redis/client/connection.h"
#include "redis/client/info.h"
#include "redis/client/sentinel.h"

namespace aeterna::lab {
namespace {

Result<redis::Reply> ask(const CheckContext& lab, const char* kind, int host,
                         const redis::Command& command, const env::Context& context) {
    redis::Target target;
    target.name = fmt::format("{}-{}", kind, host);
    target.address = lab.layout.endpoint(kind, host);
    if (std::string_view(kind) == "redis") target.password = lab.secrets.secret("redis");
    AETERNA_ASSIGN(const auto connection, redis::Connection::open(target, lab.env, context));
    return connection->call(command, context);
}

Result<redis::NodeInfo> node_info(const CheckContext& lab, int host, const env::Context& context) {
    AETERNA_ASSIGN(const redis::Reply reply, ask(lab, "redis", host, {"INFO"}, context));
    return redis::parse_node_info(reply.text);
}

}  // namespace

Reason check_redis(const CheckContext& lab, const env::Context& context) {
    int masters = 0;
    for (int host = 1; host <= kHosts; ++host) {
        const std::string node = fmt::format("redis-{}", host);
        const auto info = node_info(lab, host, context);
        if (!info) return info.error().to_string();
        if (info->is_master) {
            ++masters;
            int online = 0;
            for (const redis::ReplicaLine& replica : info->replicas)
                online += replica.state == "online" ? 1 : 0;
            if (online < kHosts - 1)
                return fmt::format("{}: {} of {} replicas are online", node, online, kHosts - 1);
        } else if (!info->is_link_up) {
            return node + ": the link to its master is down";
        }
    }
    if (masters != 1) return fmt::format("redis: {} masters", masters);
    return std::nullopt;
}

Reason check_sentinel(const CheckContext& lab, const env::Context& context) {
    for (int host = 1; host <= kHosts; ++host) {
        const std::string node = fmt::format("sentinel-{}", host);
        const auto reply = ask(lab, "sentinel", host, {"SENTINEL", "MASTER", kMasterName}, context);
        if (!reply) return reply.error().to_string();
        const auto master = redis::parse_master_view(*reply);
        if (!master) return node + ": " + master.error().to_string();
        if (master->is_down()) return node + ": says that the master is down";
        if (master->replica_count < kHosts - 1)
            return fmt::format("{}: knows {} of {} replicas", node, master->replica_count,
                               kHosts - 1);
        if (master->other_sentinels < kHosts - 1)
            return node + ": does not know the other sentinels yet";
        const auto quorum =
            ask(lab, "sentinel", host, {"SENTINEL", "CKQUORUM", kMasterName}, context);
        if (!quorum) return quorum.error().to_string();
    }
    return std::nullopt;
}

}  // namespace aeterna::lab
