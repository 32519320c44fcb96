// Settings and views that the Redis tests share: three nodes, three Sentinels on addresses that nobody listens on.
#pragma once

#include "redis/detect/observations.h"

namespace aeterna::redis::testing {

inline env::Endpoint node_address(int n) { return {"10.0.0." + std::to_string(n), 6379}; }
inline env::Endpoint sentinel_address(int n) { return {"10.0.0." + std::to_string(n), 26379}; }

inline SettingsPointer make_settings() {
    auto settings = std::make_shared<RedisSettings>();
    settings->master_name = "m";
    for (int n = 1; n <= 3; ++n) {
        const std::string suffix = "-" + std::to_string(n);
        settings->nodes.push_back({"redis" + suffix, node_address(n), "host" + suffix, "a", ""});
        settings->sentinels.push_back({"sentinel" + suffix, sentinel_address(n), "host" + suffix, "a", ""});
    }
    return settings;
}

inline NodeObservation master_seen(std::int64_t offset = 1000) {
    NodeObservation seen;
    seen.role.kind = Role::Kind::kMaster;
    seen.role.offset = offset;
    seen.info.is_master = true;
    seen.info.run_id = "r";
    seen.info.master_offset = offset;
    return seen;
}

inline NodeObservation replica_seen(int master, const std::string& link = "connected", std::int64_t offset = 1000) {
    NodeObservation seen;
    seen.role.kind = Role::Kind::kReplica;
    seen.role.offset = offset;
    seen.role.follows = node_address(master);
    seen.role.link = link;
    seen.info.run_id = "r";
    seen.info.follows = node_address(master);
    seen.info.is_link_up = link == "connected";
    seen.info.replica_offset = offset;
    return seen;
}

inline NodeObservation node_error(ErrorCode code) {
    NodeObservation seen;
    seen.error = make_error(code, "probe failed");
    return seen;
}

inline SentinelOpinion opinion_on(int master) {
    SentinelOpinion opinion;
    opinion.master.name = "m";
    opinion.master.address = node_address(master);
    opinion.master.flags = {"master"};
    opinion.master.quorum = 2;
    opinion.master.other_sentinels = 2;
    opinion.master.last_ok_ping_ms = 300;
    opinion.current_address = node_address(master);
    opinion.has_quorum = true;
    opinion.quorum_text = "OK 3 usable Sentinels";
    for (int n = 1; n <= 3; ++n) {
        if (n == master) continue;
        ReplicaView replica;
        replica.address = node_address(n);
        replica.flags = {"slave"};
        replica.is_link_ok = true;
        opinion.replicas.push_back(replica);
    }
    return opinion;
}

inline SentinelObservation sentinel_seen(SentinelOpinion opinion) {
    SentinelObservation seen;
    seen.opinion = std::move(opinion);
    return seen;
}

}  // namespace aeterna::redis::testing
