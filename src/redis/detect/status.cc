// The status of the store from one snapshot; correct after a single round of probes.
#include <fmt/core.h>

#include "base/strings.h"
#include "redis/detect/lookups.h"
#include "redis/detect/monitor.h"

namespace aeterna::redis {
namespace {

using engine::Health;
using engine::NodeStatus;

NodeStatus named(const RedisNode& node, std::string kind) {
    NodeStatus status;
    status.name = node.name;
    status.kind = std::move(kind);
    status.role = "unknown";
    status.state = "unknown";
    status.site = node.site;
    return status;
}

// For a vantage that says nothing useful.
void describe_silence(const ContactState& contact, NodeStatus& status) {
    switch (contact.contact) {
        case Contact::kRefused: status.state = "stopped"; break;
        case Contact::kSilent: status.state = "unreachable"; break;
        case Contact::kBlind: status.state = "no access"; break;
        default: return;
    }
    status.note = one_line(contact.reason);
}

NodeStatus status_of(const RedisNode& node, const Snapshot& snapshot, const std::optional<std::string>& primary) {
    NodeStatus status = named(node, "redis");
    const NodeObservation* seen = fresh_node(snapshot, node.name);
    if (!seen) {
        describe_silence(contact_of(snapshot, node.name), status);
        return status;
    }
    if (seen->role.is_master()) {
        status.role = "primary";
        status.state = seen->info.is_loading ? "loading" : "running";
        if (primary && *primary != node.name) status.note = "says it is master, but " + *primary + " is";
        return status;
    }
    status.role = "replica";
    status.state = seen->info.is_loading ? "loading" : one_line(seen->role.link, 20);
    const NodeObservation* leader = primary ? fresh_node(snapshot, *primary) : nullptr;
    if (leader && seen->info.is_link_up)
        status.lag_bytes =
            std::max<std::int64_t>(0, leader->info.master_offset - seen->info.replica_offset);
    const std::string follows = snapshot.settings->name_of(seen->role.follows);
    if (primary && follows != *primary) status.note = "follows " + follows;
    return status;
}

NodeStatus status_of_sentinel(const RedisNode& sentinel, const Snapshot& snapshot) {
    NodeStatus status = named(sentinel, "sentinel");
    status.role = "sentinel";
    const SentinelOpinion* opinion = fresh_opinion(snapshot, sentinel.name);
    if (!opinion) {
        describe_silence(contact_of_sentinel(snapshot, sentinel.name), status);
        return status;
    }
    status.state = opinion->is_tilt ? "tilt" : "running";
    if (!opinion->has_quorum) status.note = opinion->quorum_text;
    return status;
}

void judge_nodes(const Snapshot& snapshot, const std::optional<std::string>& primary, engine::StoreStatus& status) {
    for (const RedisNode& node : snapshot.settings->nodes) {
        NodeStatus one = status_of(node, snapshot, primary);
        if (node.name != primary) {
            if (one.state == "unknown")
                status.reasons.push_back(node.name + ": not seen yet");
            else if (one.role == "unknown")
                status.reasons.push_back(one.note);
            else if (one.state == "loading")
                status.reasons.push_back(node.name + " loads its data");
            else if (one.role == "primary")
                status.reasons.push_back(node.name + " also says it is master");
            else if (one.state != "connected")
                status.reasons.push_back(node.name + ": its replication link is '" + one.state + "'");
            else if (!one.note.empty())
                status.reasons.push_back(node.name + " " + one.note);
        }
        status.nodes.push_back(std::move(one));
    }
}

void judge_sentinels(const Snapshot& snapshot, engine::StoreStatus& status) {
    std::set<env::Endpoint> addresses;
    for (const RedisNode& sentinel : snapshot.settings->sentinels) {
        NodeStatus one = status_of_sentinel(sentinel, snapshot);
        if (one.state != "running") status.reasons.push_back(one.note.empty() ? one.name + ": " + one.state : one.note);
        const SentinelOpinion* opinion = fresh_opinion(snapshot, sentinel.name);
        if (opinion) {
            addresses.insert(opinion->current_address);
            if (!opinion->has_quorum) status.reasons.push_back(sentinel.name + ": " + opinion->quorum_text);
            if (opinion->master.is_down())
                status.reasons.push_back(sentinel.name + ": flags " +
                                         snapshot.settings->name_of(opinion->master.address) + " as down");
        }
        status.nodes.push_back(std::move(one));
    }
    if (addresses.size() > 1) status.reasons.push_back("the Sentinels name different masters");
}

bool is_anything_known(const Snapshot& snapshot) {
    for (const RedisNode& node : snapshot.settings->nodes)
        if (contact_of(snapshot, node.name).contact != Contact::kUnknown) return true;
    return false;
}

}  // namespace

engine::StoreStatus make_status(const Snapshot& snapshot) {
    engine::StoreStatus status;
    status.store = "redis";
    status.primary = working_master(snapshot);
    judge_nodes(snapshot, status.primary, status);
    judge_sentinels(snapshot, status);
    const auto address = sentinels_master(snapshot);
    status.extra["sentinel_master"] = address ? Json(snapshot.settings->name_of(*address)) : Json(nullptr);
    const auto lookups = lookups_in_window(snapshot);
    const auto miss_ratio = lookups ? lookups->miss_ratio() : std::nullopt;
    status.extra["cache_miss_ratio"] = miss_ratio ? Json(*miss_ratio) : Json(nullptr);
    if (snapshot.isolated || !is_anything_known(snapshot)) {
        status.health = Health::kUnknown;
        if (snapshot.isolated) status.reasons.insert(status.reasons.begin(), "nothing at all answers us");
    } else if (!status.primary) {
        status.health = Health::kDown;
        status.reasons.insert(status.reasons.begin(), "no node is a working master");
    } else {
        status.health = status.reasons.empty() ? Health::kOk : Health::kDegraded;
    }
    return status;
}

}  // namespace aeterna::redis
